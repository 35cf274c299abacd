//! What was used, and what that costs.

use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::money::Money;
use super::prices::{CLOCK_MS, CPU_MS, Instance, R2_CLASS_A, R2_CLASS_B, REQUEST, WORKER_REQUEST};

/// What a bot used, in a day or in several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Milliseconds for which there was a container, from the order to start it to its end.
    pub running_ms: u64,
    /// Milliseconds of a core that its supervisor says were used; no more than the instance has.
    pub cpu_ms: u64,
    /// Of the milliseconds it ran, those in which nobody said how much of the processor was used. Priced as if it was all of it.
    pub unmeasured_ms: u64,
    /// Requests of the owner's, as far as the Sandbox remembered them.
    pub requests: u64,
    /// Operations of R2 that write or list, in the bot's repository.
    pub class_a: u64,
    /// Operations of R2 that read.
    pub class_b: u64,
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            running_ms: self.running_ms.saturating_add(other.running_ms),
            cpu_ms: self.cpu_ms.saturating_add(other.cpu_ms),
            unmeasured_ms: self.unmeasured_ms.saturating_add(other.unmeasured_ms),
            requests: self.requests.saturating_add(other.requests),
            class_a: self.class_a.saturating_add(other.class_a),
            class_b: self.class_b.saturating_add(other.class_b),
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

/// What one of each costs, for whoever adds up in SQL as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// A millisecond of a container's memory and disk.
    pub container_ms: Money,
    /// A millisecond of an awake bot's own alarm and heartbeat.
    pub clock_ms: Money,
    /// A millisecond of a core.
    pub cpu_ms: Money,
    /// A millisecond of all the cores the instance has.
    pub unmeasured_ms: Money,
    /// A request.
    pub request: Money,
    /// An operation of class A, with the request of the Worker by which it came.
    pub class_a: Money,
    /// One of class B, likewise.
    pub class_b: Money,
}

impl Rates {
    /// Those of an instance of this type.
    pub fn of(instance: Instance) -> Self {
        Self {
            container_ms: instance.running_ms(),
            clock_ms: CLOCK_MS,
            cpu_ms: CPU_MS,
            unmeasured_ms: CPU_MS.times(instance.vcpu_thousandths.into()).part(1, 1_000),
            request: REQUEST,
            class_a: R2_CLASS_A + WORKER_REQUEST,
            class_b: R2_CLASS_B + WORKER_REQUEST,
        }
    }
}

/// What it costs, by what it was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Memory and disk of the container.
    pub container: Money,
    /// Its processor.
    pub processor: Money,
    /// Requests of the owner's.
    pub requests: Money,
    /// Operations in the repository.
    pub repository: Money,
    /// The bot's own alarm and heartbeat.
    pub clock: Money,
}

impl Parts {
    /// All of it.
    pub fn total(self) -> Money {
        self.container + self.processor + self.requests + self.repository + self.clock
    }
}

impl Usage {
    /// What it costs.
    pub fn parts(&self, rates: &Rates) -> Parts {
        Parts {
            container: rates.container_ms.times(self.running_ms),
            processor: rates.cpu_ms.times(self.cpu_ms) + rates.unmeasured_ms.times(self.unmeasured_ms),
            requests: rates.request.times(self.requests),
            repository: rates.class_a.times(self.class_a) + rates.class_b.times(self.class_b),
            clock: rates.clock_ms.times(self.running_ms),
        }
    }

    /// All it costs.
    pub fn cost(&self, rates: &Rates) -> Money {
        self.parts(rates).total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates() -> Rates {
        Rates::of(Instance::parse("standard-1").unwrap())
    }

    #[test]
    fn an_hour_of_a_standard_bot_is_priced_by_its_parts() {
        let hour = Usage {
            running_ms: 3_600_000,
            cpu_ms: 360_000,
            unmeasured_ms: 60_000,
            requests: 100,
            class_a: 60,
            class_b: 10,
        };
        let parts = hour.parts(&rates());
        let micro = [
            parts.container,
            parts.processor,
            parts.requests,
            parts.repository,
            parts.clock,
        ];
        assert_eq!(micro.map(Money::micro), [38_016, 7_800, 45, 294, 115]);
        assert_eq!(parts.total().micro(), 46_270);
    }

    fn usage() -> impl Strategy<Value = Usage> {
        let month = 0_u64..3_000_000_000;
        (
            month.clone(),
            month.clone(),
            month,
            any::<u32>(),
            any::<u32>(),
            any::<u32>(),
        )
            .prop_map(
                |(running_ms, cpu_ms, unmeasured_ms, requests, class_a, class_b)| Usage {
                    running_ms,
                    cpu_ms,
                    unmeasured_ms,
                    requests: requests.into(),
                    class_a: class_a.into(),
                    class_b: class_b.into(),
                },
            )
    }

    proptest! {
        /// What was used together costs what its parts cost, so that days, bots and a fleet add up.
        #[test]
        fn costs_add_up(one in usage(), other in usage()) {
            let (together, apart) = ((one + other).cost(&rates()), one.cost(&rates()) + other.cost(&rates()));
            prop_assert_eq!(together, apart);
            prop_assert!(together >= one.cost(&rates()));
        }
    }
}
