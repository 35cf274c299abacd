//! Incidents, mutes and thresholds in D1.

use moltworker_core::alerts::delivery::GIVEN_UP_AFTER_MS;
use moltworker_core::alerts::evaluate::{Delivery, IncidentChanges};
use moltworker_core::alerts::facts::{
    ANSWERS_MINUTES, AnswerFacts, BotFacts, ComponentFacts, MAX_BOTS, MAX_SPENT, Outage, SinkFacts,
    only_spent,
};
use moltworker_core::alerts::incident::{Incident, KEPT_MS, NoticeKind};
use moltworker_core::alerts::owner::{HOUR_MS, MAX_MESSAGES_AN_HOUR, PREFIX as OWNER};
use moltworker_core::alerts::policy::{AlertSettings, Mute};
use moltworker_core::alerts::rules::{MINUTE_MS, Rule};
use moltworker_core::alerts::sink::SinkKind;
use moltworker_core::api::bot::{BotState, Health};
use moltworker_core::api::health::STALE_MS;
use moltworker_core::bot::heartbeat;
use moltworker_core::jobs::watch::ComponentState;
use serde::{Deserialize, Serialize};
use worker::{D1Database, D1PreparedStatement, Env, Result};

use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::{json, log, sql};

/// Rows in one statement: D1 takes 2 MB of a text, and one is at most 2 kB.
const AT_ONCE: usize = 500;
/// How long deliveries are kept that are done: as long as somebody may ask whether they were told.
const DELIVERIES_KEPT_MS: u64 = 7 * GIVEN_UP_AFTER_MS;

/// How long the counts of minutes are kept: nobody asks for what is older than [`ANSWERS_MINUTES`].
const MINUTES_KEPT_MS: u64 = 15 * MINUTE_MS;
/// An incident as JSON, in SQL.
pub(crate) const INCIDENT: &str = "json_object('id', id, 'rule', rule, 'subject', subject, 'revision', revision, \
    'first_seen_at', first_seen_at, 'opened_at', opened_at, 'last_seen_at', last_seen_at, 'gone_since', gone_since, \
    'count', count, 'told_at', told_at, 'owner_told_at', owner_told_at, 'escalated_at', escalated_at, 'closed_at', closed_at, \
    'closed_reason', closed_reason, 'settled', settled, 'detail', detail, 'parent', parent, \
    'acknowledged_by', acknowledged_by, 'acknowledged_at', acknowledged_at)";

/// A bot with something wrong as JSON, in SQL.
const BOT: &str = "json_object('user_id', user_id, 'state', state, 'since', since, 'health', health, 'awake', awake, \
    'heartbeat_at', heartbeat_at, 'incidents', incidents)";
/// What one question to the registry brings.
#[derive(Default)]
pub(super) struct Readings {
    pub(super) bots: Vec<BotFacts>,
    pub(super) spent: Vec<BotFacts>,
    pub(super) awake: u64,
    pub(super) incidents: Vec<Incident>,
    /// Causes for the whole platform that are over.
    pub(super) outages: Vec<Outage>,
    pub(super) mutes: Vec<Mute>,
    pub(super) settings: AlertSettings,
    /// The names of all sinks.
    pub(super) sinks: Vec<String>,
    pub(super) failing: Vec<SinkFacts>,
    pub(super) answers: Vec<AnswerFacts>,
    /// Whether one of them is to be told again and again.
    pub(super) has_alertmanager: bool,
    /// Whether something waits to be delivered.
    pub(super) due: bool,
}

#[derive(Deserialize)]
struct Found {
    kind: String,
    said: String,
}

#[derive(Deserialize)]
struct SinkRow {
    name: String,
    kind: SinkKind,
    failing_since: Option<u64>,
    last_error: Option<String>,
}

/// Everything there is to know, in one question: each row is of a kind and says the rest in JSON.
pub(super) async fn read(database: &D1Database, now: u64, counts_awake: bool) -> Result<Readings> {
    let running = sql::text(BotState::Running.as_str());
    let healthy = sql::text(Health::Healthy.as_str());
    let failing = sql::list(&[BotState::BackingOff, BotState::CrashLooped].map(BotState::as_str));
    // It sleeps, and only what it has spent is to be said of it.
    let is_spent =
        format!("awake = 0 AND state NOT IN {failing} AND incidents IN (SELECT value FROM json_each(?7))");
    let rows = database
        .prepare(
            // In parts: D1 takes five terms in one.
            format!("SELECT * FROM (SELECT 'bot' AS kind, {BOT} AS said \
               FROM (SELECT * FROM bots WHERE ((awake = 1 AND (health <> {healthy} OR state <> {running})) \
               OR state IN {failing} OR incidents <> '[]') AND NOT ({is_spent}) \
               UNION ALL SELECT * FROM bots WHERE awake = 1 AND heartbeat_at BETWEEN 1 AND ?4 \
               AND health = {healthy} AND state = {running} AND incidents = '[]' ORDER BY user_id LIMIT ?1) \
             UNION ALL SELECT 'incident', {INCIDENT} FROM incidents WHERE settled = 0 \
             UNION ALL SELECT 'mute', json_object('rule', nullif(rule, ''), 'subject', nullif(subject, ''), \
               'until', until, 'muted_by', muted_by, 'muted_at', muted_at) FROM alert_mutes WHERE until > ?2 \
             UNION ALL SELECT 'outage', json_object('rule', rule, 'from', first_seen_at, 'to', closed_at) FROM incidents \
               WHERE subject IN (SELECT value FROM json_each(?5)) AND opened_at IS NOT NULL AND closed_at IS NOT NULL) \
             UNION ALL SELECT * FROM (SELECT 'sink', json_object('name', name, 'kind', kind, 'failing_since', failing_since, \
               'last_error', last_error) FROM alert_sinks \
             UNION ALL SELECT 'settings', document FROM alert_settings \
             UNION ALL SELECT 'awake', cast(count(*) AS TEXT) FROM bots WHERE awake = 1 AND ?3 \
             UNION ALL SELECT 'due', '' WHERE EXISTS \
               (SELECT 1 FROM alert_deliveries WHERE done_at IS NULL AND next_at <= ?2)) \
             UNION ALL SELECT * FROM (SELECT 'answers', json_object('class', class, 'answers', sum(answers), \
               'failed', sum(failed)) FROM answers_by_minute WHERE minute > ?6 GROUP BY class) \
             UNION ALL SELECT * FROM (SELECT 'spent', {BOT} FROM bots WHERE incidents <> '[]' AND {is_spent} \
               ORDER BY user_id LIMIT ?8)"),
        )
        .bind(&[
            u32::try_from(MAX_BOTS).unwrap_or(u32::MAX).into(),
            d1_timestamp(now),
            u32::from(counts_awake).into(),
            d1_timestamp(heartbeat::late_before(now)),
            serde_json::to_string(&Rule::causes().collect::<Vec<_>>())?.into(),
            d1_timestamp((now / MINUTE_MS).saturating_sub(ANSWERS_MINUTES)),
            serde_json::to_string(&only_spent())?.into(),
            u32::try_from(MAX_SPENT).unwrap_or(u32::MAX).into(),
        ])?
        .rows::<Found>()
        .await?;
    let mut read = Readings::default();
    for Found { kind, said } in rows {
        match kind.as_str() {
            "bot" => read.bots.extend(known(&said)),
            "spent" => read.spent.extend(known(&said)),
            "incident" => read.incidents.extend(known(&said)),
            "mute" => read.mutes.extend(known(&said)),
            "outage" => read.outages.extend(known::<Outage>(&said)),
            "settings" => read.settings = stored_settings(&said),
            "answers" => read.answers.extend(known(&said)),
            "awake" => read.awake = said.parse().unwrap_or_default(),
            "due" => read.due = true,
            _ => {
                let Some(sink) = known::<SinkRow>(&said) else {
                    continue;
                };
                read.failing
                    .extend(sink.failing_since.map(|failing_since| SinkFacts {
                        name: sink.name.clone(),
                        failing_since,
                        last_error: sink.last_error,
                    }));
                read.has_alertmanager |= sink.kind == SinkKind::Alertmanager;
                read.sinks.push(sink.name);
            }
        }
    }
    Ok(read)
}

/// What was told and goes on.
pub(super) async fn going_on(database: &D1Database) -> Result<Vec<Incident>> {
    let rows = database
        .prepare(format!(
            "SELECT 'incident' AS kind, {INCIDENT} AS said FROM incidents \
             WHERE settled = 0 AND told_at IS NOT NULL AND closed_at IS NULL"
        ))
        .rows::<Found>()
        .await?;
    Ok(rows.iter().filter_map(|row| known(&row.said)).collect())
}

/// What a newer version has written is left alone.
fn known<T: serde::de::DeserializeOwned>(said: &str) -> Option<T> {
    json::read(said)
        .map_err(|error| log::fault("alerts-row-unread", &[("reason", &error)]))
        .ok()
}

/// How the parts of the platform are, as far as anybody has looked lately.
pub(super) async fn components(database: &D1Database, now: u64) -> Option<Vec<ComponentFacts>> {
    database
        .prepare(
            "SELECT component, CASE WHEN checked_at < ?1 THEN ?2 ELSE state END AS state, since, reason \
             FROM platform_health",
        )
        .bind(&[
            d1_timestamp(now.saturating_sub(STALE_MS)),
            ComponentState::Unknown.as_str().into(),
        ])
        .ok()?
        .rows()
        .await
        .ok()
}

/// Ids for as many new incidents as there may be.
pub(super) fn ids(most: usize) -> Result<Vec<String>> {
    (0..most).map(|_| super::new_id()).collect()
}

/// Writes down what changed, all of it or nothing.
pub(super) async fn write(
    database: &D1Database,
    changes: &IncidentChanges,
    sinks: &[String],
    now: u64,
) -> Result<()> {
    let mut statements = Vec::new();
    let added = "INSERT OR IGNORE INTO incidents (id, rule, subject, revision, first_seen_at, opened_at, last_seen_at, count, \
         told_at, owner_told_at, detail, parent) SELECT value ->> 'id', value ->> 'rule', value ->> 'subject', value ->> 'revision', \
         value ->> 'first_seen_at', value ->> 'opened_at', value ->> 'last_seen_at', value ->> 'count', \
         value ->> 'told_at', value ->> 'owner_told_at', value ->> 'detail', value ->> 'parent' FROM json_each(?1)";
    each(database, &mut statements, added, &changes.added)?;
    let changed = "UPDATE incidents SET revision = one.value ->> 'revision', first_seen_at = one.value ->> 'first_seen_at', \
         opened_at = one.value ->> 'opened_at', last_seen_at = one.value ->> 'last_seen_at', \
         gone_since = one.value ->> 'gone_since', count = one.value ->> 'count', told_at = one.value ->> 'told_at', owner_told_at = one.value ->> 'owner_told_at', \
         escalated_at = one.value ->> 'escalated_at', closed_at = one.value ->> 'closed_at', \
         closed_reason = one.value ->> 'closed_reason', settled = one.value ->> 'settled', \
         detail = one.value ->> 'detail', parent = one.value ->> 'parent' \
         FROM json_each(?1) AS one WHERE incidents.id = one.value ->> 'id' \
         AND incidents.revision = (one.value ->> 'revision') - 1";
    each(database, &mut statements, changed, &changes.changed)?;
    let dropped = "DELETE FROM incidents WHERE opened_at IS NULL AND (id, revision) IN \
         (SELECT value ->> 'id', value ->> 'revision' FROM json_each(?1))";
    each(database, &mut statements, dropped, &changes.dropped)?;
    let [opened, escalated, recovered] = [NoticeKind::Opened, NoticeKind::Escalated, NoticeKind::Recovered]
        .map(|kind| sql::text(kind.as_str()));
    // Only of an incident that is now as this tick left it, and its end only where its beginning has arrived or may yet.
    let told = format!(
        "INSERT OR IGNORE INTO alert_deliveries (message_id, incident, kind, sink, notice, created_at, next_at) \
         SELECT one.value ->> 'message_id', one.value ->> 'incident', one.value ->> 'kind', one.value ->> 'sink', \
         one.value ->> 'notice', {now}, {now} FROM json_each(?1) AS one WHERE EXISTS (SELECT 1 FROM incidents \
         WHERE id = one.value ->> 'incident' AND revision = one.value ->> 'revision' \
         AND CASE one.value ->> 'kind' WHEN {opened} THEN told_at = {now} WHEN {escalated} THEN escalated_at = {now} \
         ELSE settled = 1 END) AND (one.value ->> 'kind' <> {recovered} OR EXISTS (SELECT 1 FROM alert_deliveries AS before \
         WHERE before.message_id = (one.value ->> 'incident') || '_' || {opened} || '_' || (one.value ->> 'sink') \
         AND (before.delivered = 1 OR before.done_at IS NULL)))"
    );
    let deliveries: Vec<Delivery> = changes.deliveries(sinks)?;
    each(database, &mut statements, &told, &deliveries)?;
    let owners = format!(
        "INSERT OR IGNORE INTO alert_deliveries (message_id, incident, kind, sink, notice, created_at, next_at) \
         SELECT one.value ->> 'incident' || '_' || (one.value ->> 'kind') || '_{OWNER}' || user_id, one.value ->> 'incident', \
         one.value ->> 'kind', '{OWNER}' || user_id, one.value ->> 'notice', {now}, {now} \
         FROM json_each(?1) AS one JOIN owner_sinks ON user_id = one.value ->> 'user' AND sealed IS NOT NULL \
         WHERE EXISTS (SELECT 1 FROM incidents WHERE id = one.value ->> 'incident' AND revision = one.value ->> 'revision' \
         AND CASE one.value ->> 'kind' WHEN {opened} THEN owner_told_at = {now} ELSE settled = 1 END) \
         AND CASE one.value ->> 'kind' WHEN {opened} THEN (SELECT count(*) FROM alert_deliveries AS before \
         WHERE before.sink GLOB '{OWNER}*' AND before.sink = '{OWNER}' || user_id AND before.created_at > {hour_ago}) \
         < {MAX_MESSAGES_AN_HOUR} ELSE EXISTS (SELECT 1 FROM alert_deliveries AS before \
         WHERE before.message_id = (one.value ->> 'incident') || '_' || {opened} || '_{OWNER}' || user_id \
         AND (before.delivered = 1 OR before.done_at IS NULL)) END",
        hour_ago = now.saturating_sub(HOUR_MS),
    );
    each(database, &mut statements, &owners, &changes.owners_news()?)?;
    if statements.is_empty() {
        return Ok(());
    }
    database.batch(statements).await.map(drop)
}

fn each(
    database: &D1Database,
    statements: &mut Vec<D1PreparedStatement>,
    statement: &str,
    rows: &[impl Serialize],
) -> Result<()> {
    for rows in rows.chunks(AT_ONCE) {
        let rows = serde_json::to_string(rows)?;
        statements.push(database.prepare(statement).bind(&[rows.into()])?);
    }
    Ok(())
}

/// Forgets what is older than it has to be kept.
pub(super) async fn forget_old(database: &D1Database, now: u64) -> Result<()> {
    let before = |statement: &str, kept: u64| {
        database
            .prepare(statement)
            .bind(&[d1_timestamp(now.saturating_sub(kept))])
    };
    let statements = vec![
        before(
            // Not what explains something that goes on, as far as anybody knows.
            "DELETE FROM incidents WHERE closed_at < ?1 AND settled = 1 AND id NOT IN \
             (SELECT parent FROM incidents WHERE settled = 0 AND parent IS NOT NULL)",
            KEPT_MS,
        )?,
        before(
            "DELETE FROM alert_deliveries WHERE done_at < ?1 AND incident NOT IN (SELECT id FROM incidents WHERE settled = 0)",
            DELIVERIES_KEPT_MS,
        )?,
        before("DELETE FROM alert_mutes WHERE until < ?1", 0)?,
        before(
            "DELETE FROM answers_by_minute WHERE minute < ?1 / 60000",
            MINUTES_KEPT_MS,
        )?,
    ];
    database.batch(statements).await.map(drop)
}

#[derive(Deserialize)]
struct Document {
    document: String,
}

/// What admins decided about rules and quiet hours.
pub(crate) async fn settings(env: &Env) -> Result<AlertSettings> {
    let row = database::open(env)?
        .prepare("SELECT document FROM alert_settings")
        .row::<Document>()
        .await?;
    Ok(row.map(|row| stored_settings(&row.document)).unwrap_or_default())
}

fn stored_settings(document: &str) -> AlertSettings {
    AlertSettings::stored(document).unwrap_or_else(|error| {
        log::fault("alerts-row-unread", &[("reason", &error)]);
        AlertSettings::default()
    })
}

/// Replaces it.
pub(crate) async fn set_settings(env: &Env, settings: &AlertSettings, by: &str, now: u64) -> Result<()> {
    database::open(env)?
        .prepare(
            "INSERT INTO alert_settings (id, document, changed_by, changed_at) VALUES (1, ?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET document = excluded.document, changed_by = excluded.changed_by, \
             changed_at = excluded.changed_at",
        )
        .bind(&[
            serde_json::to_string(settings)?.into(),
            by.into(),
            d1_timestamp(now),
        ])?
        .run()
        .await
        .map(drop)
}

/// What is muted at this time.
pub(crate) async fn mutes(env: &Env, now: u64) -> Result<Vec<Mute>> {
    database::open(env)?
        .prepare(
            "SELECT nullif(rule, '') AS rule, nullif(subject, '') AS subject, until, muted_by, muted_at \
             FROM alert_mutes WHERE until > ?1 ORDER BY until",
        )
        .bind(&[d1_timestamp(now)])?
        .rows()
        .await
}

/// Mutes, or changes until when.
pub(crate) async fn mute(env: &Env, mute: &Mute) -> Result<()> {
    database::open(env)?
        .prepare(
            "INSERT INTO alert_mutes (rule, subject, until, muted_by, muted_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (rule, subject) DO UPDATE SET until = excluded.until, muted_by = excluded.muted_by, \
             muted_at = excluded.muted_at",
        )
        .bind(&[
            mute.rule.map_or("", Rule::as_str).into(),
            mute.subject.as_deref().unwrap_or_default().into(),
            d1_timestamp(mute.until),
            mute.muted_by.as_str().into(),
            d1_timestamp(mute.muted_at),
        ])?
        .run()
        .await
        .map(drop)
}

/// Ends a mute.
pub(crate) async fn forget_mute(env: &Env, rule: Option<Rule>, subject: Option<&str>) -> Result<()> {
    database::open(env)?
        .prepare("DELETE FROM alert_mutes WHERE rule = ?1 AND subject = ?2")
        .bind(&[
            rule.map_or("", Rule::as_str).into(),
            subject.unwrap_or_default().into(),
        ])?
        .run()
        .await
        .map(drop)
}
