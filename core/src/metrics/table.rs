//! The metrics, in one table. Names and units are as Prometheus has them: seconds and bytes, and `_total` for what only grows.

use super::classes::{RequestClass, RequestOutcome};
use super::metric::{Kind, Labels, Metric};
use crate::alerts::rules::Rule;
use crate::api::bot::Health;
use crate::api::health::COMPONENTS;
use crate::bot::bot_state::BotState;
use crate::bot::history::HistoryKind;
use crate::wire::control::EndReason;

/// Upper ends of the buckets of a start, in milliseconds: one takes 15 to 45 seconds, and has three minutes.
const START_BUCKETS_MS: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000, 180_000,
];
/// The parts of a start, in their order.
pub const START_PHASES: [&str; 3] = ["container", "restore", "gateway"];
/// Shares of the fleet, in thousandths, and as they are written.
const SHARES: &[(u64, &str)] = &[(500, "0.5"), (900, "0.9"), (990, "0.99"), (1_000, "1")];

macro_rules! metrics {
    ($($constant:ident = $name:literal: $kind:expr, [$($label:literal),*] of $series:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                help: $help,
                labels: &[$($label),*],
                series: $series,
            };
        )*

        /// Every metric, in the order of a scrape.
        pub static METRICS: [&Metric; [$($name),*].len()] = [$(&$constant),*];
    };
}

metrics! {
    BUILD_INFO = "moltworker_build_info": Kind::Gauge, ["version"] of || vec![vec![env!("CARGO_PKG_VERSION")]],
        "1, with the version that answers.";
    REQUESTS = "moltworker_requests_total": Kind::Counter, ["class", "outcome"] of requests,
        "Requests that were answered, by what they were for and how.";
    BOTS = "moltworker_bots": Kind::Gauge, ["state"] of states,
        "Bots that were ever wanted, by their state.";
    BOTS_AWAKE = "moltworker_bots_awake": Kind::Gauge, [] of one,
        "Bots that take a slot: each has a container, or is about to.";
    BOTS_AWAKE_LIMIT = "moltworker_bots_awake_limit": Kind::Gauge, [] of one,
        "How many bots may be awake at once, by MAX_AWAKE; missing where that is not set.";
    BOT_EVENTS = "moltworker_bot_events_total": Kind::Counter, ["kind"] of event_kinds,
        "What happened to bots, by the kinds of the history: started counts starts, died, replaced and killed count containers that were lost.";
    GATEWAY_ENDINGS = "moltworker_gateway_endings_total": Kind::Counter, ["reason"] of end_reasons,
        "Gateway processes that ended, by why; each is started again unless its bot is to stop or is given up.";
    START_SECONDS = "moltworker_start_seconds": Kind::Histogram(START_BUCKETS_MS), [] of one,
        "How long bots took from the start of a container until their gateway answered.";
    START_PHASE_SECONDS = "moltworker_start_phase_seconds": Kind::Histogram(START_BUCKETS_MS), ["phase"] of start_phases,
        "The parts of these starts: until the container answers, until the home is there, until the gateway answers.";
    SNAPSHOT_AGE_SECONDS = "moltworker_snapshot_age_seconds": Kind::Summary(SHARES), [] of one,
        "How old the newest snapshots of bots that are awake are, over the fleet at this moment.";
    BOTS_WITHOUT_SNAPSHOT = "moltworker_bots_without_snapshot": Kind::Gauge, [] of one,
        "Bots that are awake and have no snapshot.";
    STORED_BYTES = "moltworker_repository_stored_bytes_total": Kind::Counter, [] of one,
        "Bytes that were added to the bots' repositories in the bucket.";
    DELETED_BYTES = "moltworker_repository_deleted_bytes_total": Kind::Counter, [] of one,
        "Bytes that maintenance deleted from the bots' repositories in the bucket.";
    INCIDENTS_OPEN = "moltworker_incidents_open": Kind::Gauge, ["rule", "severity"] of rules,
        "Incidents that are open, by their rule.";
    DELIVERIES = "moltworker_alert_deliveries_total": Kind::Counter, ["outcome"] of delivery_outcomes,
        "Attempts to deliver an alert to a sink, by how they ended: failed is tried again, refused is not.";
    DELIVERIES_WAITING = "moltworker_alert_deliveries_waiting": Kind::Gauge, [] of one,
        "Alerts that are to be delivered still.";
    COMPONENT_HEALTH = "moltworker_component_health": Kind::Gauge, ["component", "health"] of component_health,
        "How the parts of the platform are: 1 for what each is, 0 for the two it is not.";
    CRON_TICKS = "moltworker_cron_ticks_total": Kind::Counter, [] of one,
        "Ticks of cron.";
    CRON_LAST_TICK = "moltworker_cron_last_tick_timestamp_seconds": Kind::Gauge, [] of one,
        "When the last tick of cron began, in seconds since 1970.";
    CRON_TICK_SECONDS = "moltworker_cron_tick_seconds": Kind::Gauge, [] of one,
        "How long the last tick of cron took that is over.";
    CRON_LONGEST_TICK = "moltworker_cron_longest_tick_seconds": Kind::Gauge, [] of one,
        "How long the longest of the last thirty ticks took.";
    CRON_LONGEST_GAP = "moltworker_cron_longest_gap_seconds": Kind::Gauge, [] of one,
        "The longest time between two of the last thirty ticks, and since the last one; 60 are in order.";
    QUEUE_WAITING = "moltworker_queue_messages_waiting": Kind::Gauge, [] of one,
        "Messages that the last thirty ticks put on the queue and that are not done.";
    QUEUE_OLDEST = "moltworker_queue_oldest_message_seconds": Kind::Gauge, [] of one,
        "How long the oldest of these messages has waited; 0 where none does.";
    QUEUE_DEAD = "moltworker_queue_dead_messages_total": Kind::Counter, [] of one,
        "Messages that were given up.";
}

fn one() -> Vec<Labels> {
    vec![vec![]]
}

fn each(values: impl IntoIterator<Item = &'static str>) -> Vec<Labels> {
    values.into_iter().map(|value| vec![value]).collect()
}

fn requests() -> Vec<Labels> {
    let classes = RequestClass::ALL.into_iter();
    classes
        .flat_map(|class| {
            RequestOutcome::ALL
                .into_iter()
                .map(move |outcome| vec![class.as_str(), outcome.as_str()])
        })
        .collect()
}

fn states() -> Vec<Labels> {
    each(BotState::ALL.map(BotState::as_str))
}

/// What people called is in the same history, and among the requests here.
fn event_kinds() -> Vec<Labels> {
    let of_calls = |kind: &HistoryKind| {
        matches!(
            kind,
            HistoryKind::Ordered
                | HistoryKind::Inspected
                | HistoryKind::Changed
                | HistoryKind::Refused
                | HistoryKind::SignedIn
                | HistoryKind::SignedOut
        )
    };
    let of_bots = HistoryKind::ALL.into_iter().filter(|kind| !of_calls(kind));
    each(of_bots.map(HistoryKind::as_str))
}

fn end_reasons() -> Vec<Labels> {
    let known = EndReason::ALL.into_iter();
    each(known.chain([EndReason::Unknown]).map(EndReason::as_str))
}

fn start_phases() -> Vec<Labels> {
    each(START_PHASES)
}

fn rules() -> Vec<Labels> {
    let rules = Rule::ALL.into_iter();
    rules
        .map(|rule| vec![rule.as_str(), rule.facts().severity.as_str()])
        .collect()
}

fn delivery_outcomes() -> Vec<Labels> {
    each(["delivered", "failed", "refused"])
}

fn component_health() -> Vec<Labels> {
    let healths = [Health::Healthy, Health::Unhealthy, Health::Unknown];
    let components = COMPONENTS.into_iter();
    components
        .flat_map(|component| healths.map(|health| vec![component, health.as_str()]))
        .collect()
}
