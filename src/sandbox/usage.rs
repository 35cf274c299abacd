//! What the bot uses: counted here, written into D1 beside the heartbeat and at the end of a run, and held against the month's
//! limit. Rules and arithmetic are in `core::cost`.
//!
//! The own store has what each day has had so far, and D1 gets that: a write that is made twice counts once. Requests are
//! counted in memory alone, and those since the last write are lost with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::lock::Mutex;
use moltworker_core::bot::lifecycle::{Lifecycle, LifecycleEvent};
use moltworker_core::cost::limit::{LimitChoice, Spending};
use moltworker_core::cost::meter::{CountedDay, Meter, RegistryDay};
use moltworker_core::cost::usage::Rates;
use moltworker_core::wire::run::Run;
use serde::{Deserialize, Serialize};
use wasm_bindgen_futures::spawn_local;
use worker::Result;

use super::Inner;
use super::store::Store;
use crate::platform::database::{self, Rows};
use crate::platform::{clock, json, log};
use crate::repository::usage as repository_usage;

/// How long D1 may take for what is written.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// What is counted, and whose turn it is to write it.
#[derive(Default)]
pub(super) struct UsageCounter {
    turn: Mutex<()>,
    /// As it is in the store, and on from there.
    meter: RefCell<Option<Meter>>,
    /// Requests since the last write.
    requests: Cell<u64>,
}

impl UsageCounter {
    /// Counts a request that goes on to the bot.
    pub(super) fn count_request(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
    }
}

#[derive(Deserialize)]
struct Record {
    record: String,
}

/// A day as D1 takes it.
#[derive(Serialize)]
struct DayRow {
    day: u32,
    running_ms: u64,
    cpu_ms: u64,
    unmeasured_ms: u64,
    requests: u64,
}

impl Store {
    fn meter(&self) -> Result<Meter> {
        let row: Option<Record> = self.one("SELECT record FROM usage", vec![])?;
        row.map_or_else(|| Ok(Meter::default()), |row| json::read(&row.record))
    }

    fn save_meter(&self, meter: &Meter) -> Result<()> {
        let record = serde_json::to_string(meter)?;
        self.exec(
            "INSERT OR REPLACE INTO usage (only, record) VALUES (1, ?)",
            vec![record.into()],
        )
    }
}

fn running(life: &Lifecycle) -> Option<Run> {
    life.is_awake().then_some(life.run)
}

impl Inner {
    /// Without an await in between.
    fn with_meter<T>(&self, change: impl FnOnce(&mut Meter) -> T) -> Result<T> {
        let mut kept = self.usage.meter.borrow_mut();
        let meter = match &mut *kept {
            Some(meter) => meter,
            empty => empty.insert(Store::open(&self.state)?.meter()?),
        };
        Ok(change(meter))
    }

    /// Takes note of the life as it is now. That a run began or ended is stored at once, with the life itself. What
    /// cannot be counted keeps no bot from its life.
    pub(super) fn count_running(&self, life: &Lifecycle) {
        let (now, running) = (clock::now_ms(), running(life));
        let counted = self.with_meter(|meter| {
            let before = meter.running();
            meter.see(now, running);
            (before != running).then(|| meter.clone())
        });
        let stored = counted.and_then(|changed| match changed {
            Some(meter) => Store::open(&self.state)?.save_meter(&meter),
            None => Ok(()),
        });
        if let Err(error) = stored {
            log::fault("usage-not-counted", &[("run", &life.run), ("reason", &error)]);
        }
    }

    /// Takes note of what a supervisor says of the processor.
    pub(super) fn count_cpu(&self, run: Run, cpu_ms: u64) {
        let counted = self.settings().and_then(|settings| {
            let instance = settings.cost.instance;
            self.with_meter(|meter| meter.measure(clock::now_ms(), run, cpu_ms, instance))
        });
        if let Err(error) = counted {
            log::fault("usage-not-counted", &[("run", &run), ("reason", &error)]);
        }
    }

    /// Writes down what was used, if it is time to, and does what follows from it, without waiting for that.
    pub(super) fn update_usage(self: &Rc<Self>) {
        let inner = Rc::clone(self);
        spawn_local(async move {
            {
                let _turn = inner.usage.turn.lock().await;
                if let Err(error) = inner.write_usage().await {
                    log::fault(
                        "usage-not-written",
                        &[("run", &inner.life().run), ("reason", &error)],
                    );
                }
            }
            inner.review_limit().await;
        });
    }

    async fn write_usage(&self) -> Result<()> {
        let (now, running) = (clock::now_ms(), running(&self.life()));
        let requests = self.usage.requests.take();
        let due = self.with_meter(|meter| {
            meter.see(now, running);
            meter.add_requests(now, requests);
            meter
                .is_due(now)
                .then(|| (meter.begin_writing(now), meter.clone()))
        })?;
        let Some((days, meter)) = due else {
            return Ok(());
        };
        Store::open(&self.state)?.save_meter(&meter)?;
        // With a deadline as well: whoever hangs here would hold the turn.
        let flushed = async {
            repository_usage::flush(&self.env).await;
            Ok(())
        };
        clock::within(WRITE_DEADLINE, flushed).await.ok();
        match clock::within(WRITE_DEADLINE, self.write_days(&days)).await {
            Ok(told) => {
                let ended = self.with_meter(|meter| {
                    meter.end_writing(&days, &told);
                    meter.running().is_none().then(|| meter.clone())
                })?;
                // While it runs the next write does, a few minutes from now. Asleep nothing else would, and whoever looks at it
                // would write all of it once more.
                ended.map_or(Ok(()), |meter| Store::open(&self.state)?.save_meter(&meter))
            }
            Err(error) => {
                self.with_meter(Meter::fail_writing)?;
                Err(error)
            }
        }
    }

    /// Writes what each day has had; what D1 has of it that is counted elsewhere.
    async fn write_days(&self, days: &[CountedDay]) -> Result<Vec<RegistryDay>> {
        let rows = days.iter().map(|counted| DayRow {
            day: counted.day.0,
            running_ms: counted.usage.running_ms,
            cpu_ms: counted.usage.cpu_ms,
            unmeasured_ms: counted.usage.unmeasured_ms,
            requests: counted.usage.requests,
        });
        let rows = serde_json::to_string(&rows.collect::<Vec<_>>())?;
        database::open(&self.env)?
            // An object that was evicted may still have a write under way, and a day only grows.
            .prepare(
                "INSERT INTO bot_usage (user_id, day, running_ms, cpu_ms, unmeasured_ms, requests) \
                 SELECT ?1, value ->> 'day', value ->> 'running_ms', value ->> 'cpu_ms', value ->> 'unmeasured_ms', \
                 value ->> 'requests' FROM json_each(?2) WHERE TRUE \
                 ON CONFLICT (day, user_id) DO UPDATE SET running_ms = max(running_ms, excluded.running_ms), \
                 cpu_ms = max(cpu_ms, excluded.cpu_ms), unmeasured_ms = max(unmeasured_ms, excluded.unmeasured_ms), \
                 requests = max(requests, excluded.requests) RETURNING day, class_a, class_b",
            )
            .bind(&[self.user()?.to_string().into(), rows.into()])?
            .rows()
            .await
    }

    /// How much of the limit is spent, if most of it is.
    pub(super) fn spending(&self) -> Result<Option<Spending>> {
        let (now, user, settings) = (clock::now_ms(), self.user()?, &self.settings()?.cost);
        self.with_meter(|meter| {
            let spent = meter.month(now).cost(&Rates::of(settings.instance));
            let found = Spending::of(now, spent, meter.limit.or(settings.monthly_limit))?;
            Some(found.of_user(user))
        })
    }

    /// Has the bot's life follow what is spent. To be asked wherever a bot is turned away for it, too: the operator may have
    /// raised the limit of all while it slept.
    pub(super) async fn review_limit(self: &Rc<Self>) {
        if let Err(error) = self.follow_limit().await {
            log::fault(
                "limit-not-reviewed",
                &[("run", &self.life().run), ("reason", &error)],
            );
        }
    }

    async fn follow_limit(self: &Rc<Self>) -> Result<()> {
        let (known, found) = (self.life().spending, self.spending()?);
        let is_news = match (&known, &found) {
            (Some(known), Some(found)) => !known.is_as(found),
            (known, found) => known.is_some() || found.is_some(),
        };
        if is_news {
            self.handle_event(LifecycleEvent::Spending(found)).await?;
        }
        Ok(())
    }

    /// As [`Inner::review_limit`], of a bot that sleeps for it.
    pub(super) async fn review_spent_limit(self: &Rc<Self>) {
        if self.life().spent(clock::now_ms()).is_some() {
            self.review_limit().await;
        }
    }

    /// Why it is turned away, in words, if it is for what it has spent.
    pub(super) fn spent_in_words(&self) -> Option<String> {
        let known = self.life().spent(clock::now_ms())?;
        // What was spent since it was told to sleep counts as well.
        let found = self.spending().ok().flatten().unwrap_or(known);
        Some(format!("{} {}", found.in_words(), found.end_in_words()))
    }

    /// An admin decided what it may cost.
    pub(super) async fn set_limit(self: &Rc<Self>, choice: LimitChoice) -> Result<()> {
        let meter = self.with_meter(|meter| {
            meter.limit = choice;
            meter.clone()
        })?;
        Store::open(&self.state)?.save_meter(&meter)?;
        self.review_limit().await;
        Ok(())
    }
}
