//! What is counted, on its way into D1. Requests are counted in the isolate's memory and written down once a minute at most, beside a
//! request: no request asks D1 for it. What an isolate that ends has not written is lost. Whoever writes to D1 anyway writes its
//! counts along.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use moltworker_core::metrics::classes::{RequestClass, RequestOutcome};
use moltworker_core::metrics::count::Count;
use moltworker_core::metrics::requests::{MinuteCount, RequestCounts};
use worker::{D1Database, D1PreparedStatement, Env, Result};

use crate::platform::{clock, database, log};

/// How often an isolate writes down what it has counted.
const WRITTEN_EVERY_MS: u64 = 60_000;

thread_local! {
    static REQUESTS: RefCell<RequestCounts> = const { RefCell::new(RequestCounts::new()) };
    /// Other series, as many as the table of metrics has at most.
    static OTHERS: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
    static WRITTEN_AT_MS: Cell<u64> = const { Cell::new(0) };
}

/// Counts a request; whether it is time to write down what was counted, which is said to one request.
pub(crate) fn count_request(class: RequestClass, outcome: RequestOutcome) -> bool {
    // A bot's traffic has looked at the clock on its way, and is not to look once more.
    let now = match class {
        RequestClass::Bot => clock::known_ms(),
        _ => clock::now_ms(),
    };
    REQUESTS.with_borrow_mut(|counts| counts.count(now, class, outcome));
    let is_due = now.saturating_sub(WRITTEN_AT_MS.get()) >= WRITTEN_EVERY_MS;
    if is_due {
        WRITTEN_AT_MS.set(now);
    }
    is_due
}

/// Counts something else; written down with the requests.
pub(crate) fn count(count: Count) {
    OTHERS.with_borrow_mut(|others| {
        let sum = others.entry(count.series).or_default();
        *sum = sum.saturating_add(count.by);
    });
}

/// Writes down what was counted in this isolate. What cannot be written is written with what comes next.
pub(crate) async fn write_counted(env: &Env) {
    // Taken out before the write: meanwhile others count on, and may write as well.
    let requests = REQUESTS.take();
    let others = OTHERS.take();
    let mut counts = requests.counts();
    counts.extend(others.iter().map(|(series, by)| Count {
        series: series.clone(),
        by: *by,
    }));
    if counts.is_empty() {
        return;
    }
    let Err(error) = write(env, &counts, &requests.minutes()).await else {
        return;
    };
    log::fault("metrics-not-written", &[("reason", &error)]);
    REQUESTS.with_borrow_mut(|counted| counted.put_back(requests));
    for (series, by) in others {
        count(Count { series, by });
    }
}

async fn write(env: &Env, counts: &[Count], minutes: &[MinuteCount]) -> Result<()> {
    let database = database::open(env)?;
    let mut statements = vec![statement(&database, counts)?];
    if !minutes.is_empty() {
        let minutes = serde_json::to_string(minutes)?;
        let statement = database.prepare(
            "INSERT INTO answers_by_minute (minute, class, answers, failed) SELECT value ->> 'minute', value ->> 'class', \
             value ->> 'answers', value ->> 'failed' FROM json_each(?1) WHERE true ON CONFLICT (minute, class) \
             DO UPDATE SET answers = answers_by_minute.answers + excluded.answers, \
             failed = answers_by_minute.failed + excluded.failed",
        );
        statements.push(statement.bind(&[minutes.into()])?);
    }
    database.batch(statements).await.map(drop)
}

/// What adds these counts, for a batch with what they are counts of.
///
/// # Errors
/// They are no JSON.
pub(crate) fn statement(database: &D1Database, counts: &[Count]) -> Result<D1PreparedStatement> {
    database
        .prepare(
            "INSERT INTO metric_counts (series, value) SELECT value ->> 'series', value ->> 'by' FROM json_each(?1) WHERE true \
             ON CONFLICT (series) DO UPDATE SET value = metric_counts.value + excluded.value",
        )
        .bind(&[serde_json::to_string(counts)?.into()])
}

/// Adds these counts by themselves.
pub(crate) async fn add(env: &Env, counts: &[Count]) {
    if let Err(error) = write(env, counts, &[]).await {
        log::fault("metrics-not-written", &[("reason", &error)]);
    }
}
