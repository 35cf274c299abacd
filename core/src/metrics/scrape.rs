//! A scrape: what was read, as a page.

use std::collections::BTreeMap;

use super::count::StoredCounts;
use super::exposition::{Exposition, Value};
use super::metric::{Kind, Metric};
use super::table::{
    BOTS, BOTS_AWAKE, BOTS_AWAKE_LIMIT, BOTS_WITHOUT_SNAPSHOT, BUILD_INFO, COMPONENT_HEALTH, CRON_LAST_TICK,
    CRON_LONGEST_GAP, CRON_LONGEST_TICK, CRON_TICK_SECONDS, CRON_TICKS, DELIVERIES_WAITING, INCIDENTS_OPEN,
    METRICS, QUEUE_DEAD, QUEUE_OLDEST, QUEUE_WAITING, SNAPSHOT_AGE_SECONDS,
};
use crate::api::health::HealthReport;
use crate::bot::bot_state::BotState;
use crate::jobs::watch::Tick;

/// Bots that are awake and are looked at, and bots that rest and are counted: more than one deployment has of either.
pub const MAX_BOTS: u32 = 10_000;

/// What there is to read.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// When this is, in milliseconds since 1970.
    pub now: u64,
    /// What was counted.
    pub stored: StoredCounts,
    /// Bots that were ever wanted. None is ever forgotten, so it is the number of the last one.
    pub registered: u64,
    /// How many of them are in each state; whoever is in none of these is asleep.
    pub bots: BTreeMap<String, u64>,
    /// How many may be.
    pub max_awake: Option<u64>,
    /// When the newest snapshots of those that are awake were taken, in milliseconds since 1970; nothing for one that has none.
    pub snapshots_at: Vec<Option<u64>>,
    /// How many incidents of each rule are open.
    pub incidents: BTreeMap<String, u64>,
    /// Alerts that wait.
    pub waiting: u64,
    /// How the parts of the platform are.
    pub health: &'a HealthReport,
    /// The last ticks of cron, the newest first.
    pub ticks: &'a [Tick],
    /// The number of the last one.
    pub last_tick: u64,
    /// The number of the last message that was given up.
    pub last_dead: u64,
}

impl Scrape<'_> {
    /// The page.
    pub fn to_text(&self) -> String {
        let mut page = Exposition::default();
        for metric in METRICS {
            self.write(metric, &mut page);
        }
        page.into_text()
    }

    fn write(&self, metric: &'static Metric, page: &mut Exposition) {
        let mut series = (metric.series)();
        // What is not set has no series.
        series.retain(|labels| !matches!(metric.kind, Kind::Gauge) || self.gauge(metric, labels).is_some());
        if series.is_empty() {
            return;
        }
        page.begin(metric);
        for labels in series {
            match metric.kind {
                Kind::Counter => page.sample(metric, &labels, Value::Whole(self.counter(metric, &labels))),
                Kind::Gauge => {
                    if let Some(value) = self.gauge(metric, &labels) {
                        page.sample(metric, &labels, value);
                    }
                }
                Kind::Histogram(bounds) => {
                    let observed = self.stored.observations(metric, &labels, bounds);
                    page.histogram(metric, &labels, &observed);
                }
                Kind::Summary(_) => page.summary(metric, &labels, self.summary(metric)),
            }
        }
    }

    fn counter(&self, metric: &Metric, labels: &[&str]) -> u64 {
        match metric.name {
            name if name == CRON_TICKS.name => self.last_tick,
            name if name == QUEUE_DEAD.name => self.last_dead,
            _ => self.stored.counter(metric, labels),
        }
    }

    fn summary(&self, metric: &Metric) -> Vec<u64> {
        if metric.name != SNAPSHOT_AGE_SECONDS.name {
            return Vec::new();
        }
        let taken = self.snapshots_at.iter().flatten();
        taken.map(|at| self.now.saturating_sub(*at)).collect()
    }

    fn gauge(&self, metric: &Metric, labels: &[&str]) -> Option<Value> {
        let of = |counts: &BTreeMap<String, u64>| {
            let count = labels.first().and_then(|label| counts.get(*label));
            Value::Whole(count.copied().unwrap_or_default())
        };
        let is = |other: &Metric| metric.name == other.name;
        Some(match () {
            () if is(&BUILD_INFO) => Value::Whole(1),
            () if is(&BOTS) && labels == [BotState::Asleep.as_str()] => {
                let counted = self
                    .bots
                    .values()
                    .fold(0_u64, |sum, bots| sum.saturating_add(*bots));
                Value::Whole(self.registered.saturating_sub(counted))
            }
            () if is(&BOTS) => of(&self.bots),
            () if is(&BOTS_AWAKE) => Value::Whole(u64::try_from(self.snapshots_at.len()).unwrap_or(u64::MAX)),
            () if is(&BOTS_AWAKE_LIMIT) => Value::Whole(self.max_awake?),
            () if is(&BOTS_WITHOUT_SNAPSHOT) => {
                let without = self.snapshots_at.iter().filter(|at| at.is_none()).count();
                Value::Whole(u64::try_from(without).unwrap_or(u64::MAX))
            }
            () if is(&INCIDENTS_OPEN) => of(&self.incidents),
            () if is(&DELIVERIES_WAITING) => Value::Whole(self.waiting),
            () if is(&COMPONENT_HEALTH) => self.component_health(labels),
            () => return self.clockwork(metric),
        })
    }

    fn component_health(&self, labels: &[&str]) -> Value {
        let is_so = self
            .health
            .components
            .iter()
            .any(|part| labels == [part.component, part.health.as_str()]);
        Value::Whole(u64::from(is_so))
    }

    /// Gauges of cron and of the queue. Before the first tick there is nothing to tell of it.
    fn clockwork(&self, metric: &Metric) -> Option<Value> {
        let is = |other: &Metric| metric.name == other.name;
        let newest = self.ticks.first();
        let took = |tick: &Tick| {
            let ended = tick.finished_at.unwrap_or(self.now);
            ended.saturating_sub(tick.started_at)
        };
        let waiting = |tick: &&Tick| tick.consumed < tick.queued;
        Some(match () {
            () if is(&CRON_LAST_TICK) => Value::Milliseconds(newest?.started_at),
            () if is(&CRON_TICK_SECONDS) => {
                let over = self.ticks.iter().find(|tick| tick.finished_at.is_some())?;
                Value::Milliseconds(took(over))
            }
            () if is(&CRON_LONGEST_TICK) => Value::Milliseconds(self.ticks.iter().map(took).max()?),
            () if is(&CRON_LONGEST_GAP) => {
                let since = self.now.saturating_sub(newest?.started_at);
                let pairs = self.ticks.iter().zip(self.ticks.iter().skip(1));
                let gaps = pairs.map(|(later, earlier)| later.started_at.saturating_sub(earlier.started_at));
                Value::Milliseconds(gaps.chain([since]).max()?)
            }
            () if is(&QUEUE_WAITING) => {
                let left = self.ticks.iter().filter(waiting);
                Value::Whole(
                    left.map(|tick| u64::from(tick.queued.saturating_sub(tick.consumed)))
                        .sum(),
                )
            }
            () if is(&QUEUE_OLDEST) => {
                let oldest = self.ticks.iter().rfind(waiting);
                let age = oldest.map(|tick| self.now.saturating_sub(tick.started_at));
                Value::Milliseconds(age.unwrap_or_default())
            }
            () => return None,
        })
    }
}
