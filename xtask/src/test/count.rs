//! Reads how many tests passed and failed out of what the runners print.

use std::iter::Sum;
use std::ops::Add;

#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u32,
    pub(super) failed: u32,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// Whose output is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Cargo,
    Node,
    /// One check: it passes or fails as a whole.
    Check,
}

impl Runner {
    /// What one line of output adds.
    pub(super) fn count(self, line: &str) -> Counts {
        match self {
            Self::Cargo => cargo(line),
            Self::Node => node(line),
            Self::Check => Counts::default(),
        }
    }

    /// The phase's counts: a runner that failed without naming a test, or that ran none, is itself a failure.
    pub(super) fn settle(self, counted: Counts, success: bool) -> Counts {
        let failure = Counts { passed: 0, failed: 1 };
        match self {
            Self::Check if success => Counts { passed: 1, failed: 0 },
            Self::Check => failure,
            _ if !success && counted.failed == 0 => counted + failure,
            _ if counted == Counts::default() => failure,
            _ => counted,
        }
    }
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; ...`
fn cargo(line: &str) -> Counts {
    let Some(result) = line.strip_prefix("test result: ") else {
        return Counts::default();
    };
    let number = |unit: &str| {
        result
            .split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(unit)?.trim().parse().ok())
            .unwrap_or(0)
    };
    Counts {
        passed: number("passed"),
        failed: number("failed"),
    }
}

/// The closing lines of the spec reporter: `ℹ pass 3`, `ℹ fail 0`, `ℹ cancelled 0`.
fn node(line: &str) -> Counts {
    let Some((name, number)) = line
        .strip_prefix("ℹ ")
        .and_then(|rest| rest.split_once(' '))
        .and_then(|(name, number)| Some((name, number.trim().parse().ok()?)))
    else {
        return Counts::default();
    };
    match name {
        "pass" => Counts {
            passed: number,
            failed: 0,
        },
        "fail" | "cancelled" => Counts {
            passed: 0,
            failed: number,
        },
        _ => Counts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Runner};

    fn counts(runner: Runner, text: &str) -> Counts {
        text.lines().map(|line| runner.count(line)).sum()
    }

    #[test]
    fn cargo_test_counts_are_summed() {
        let text = "running 2 tests\ntest a ... ok\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\ntest result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            counts(Runner::Cargo, text),
            Counts {
                passed: 15,
                failed: 2
            }
        );
    }

    #[test]
    fn node_test_counts_are_summed() {
        let text = "▶ suite\n  ✔ works (1.2ms)\nℹ tests 6\nℹ suites 1\nℹ pass 4\nℹ fail 1\nℹ cancelled 1\nℹ skipped 0\nℹ duration_ms 12.5\n";
        assert_eq!(counts(Runner::Node, text), Counts { passed: 4, failed: 2 });
    }

    #[test]
    fn a_failed_test_run_is_never_counted_as_passed() {
        let none = Counts::default();
        let some = Counts { passed: 3, failed: 0 };
        assert_eq!(Runner::Cargo.settle(some, false), Counts { passed: 3, failed: 1 });
        assert_eq!(Runner::Node.settle(none, true), Counts { passed: 0, failed: 1 });
        assert_eq!(Runner::Node.settle(some, true), some);
        assert_eq!(Runner::Check.settle(none, true), Counts { passed: 1, failed: 0 });
        assert_eq!(Runner::Check.settle(none, false), Counts { passed: 0, failed: 1 });
    }
}
