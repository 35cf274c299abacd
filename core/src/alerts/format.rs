//! Messages as each kind of sink takes them.
//!
//! What a detail says may come from a bot: it mentions nobody, is no markup, and has a length.

use serde::Serialize;

use super::incident::{Notice, NoticeKind};
use super::owner;
use super::rules::{MINUTE_MS, Rule, Severity};
use super::sink::{SinkAccess, SinkKind};

/// Characters of a text: Discord takes 2,000, Telegram 4,096, Slack 40,000.
pub const MAX_TEXT: usize = 2_000;
/// How often Alertmanager is sent again what goes on. It keeps what it knows in memory and for a while, and expects its clients to
/// repeat themselves; a request with all of it every five minutes is cheap.
const RESENT_EVERY_MINUTES: u64 = 5;
/// For how long Alertmanager takes an alert as firing: four times as long as it takes until it is sent again, as Prometheus does
/// it. One of ours whose end is lost, or that nobody sends any more, is over there by itself.
const FIRING_MS: u64 = 4 * RESENT_EVERY_MINUTES * MINUTE_MS;
/// Alerts in one request to Alertmanager: some 300 kB.
const MAX_RESENT: usize = 500;

/// A request to a sink, but for a webhook's signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkMessage {
    /// Its body, JSON.
    pub body: String,
    /// What `Authorization` says after `Bearer`.
    pub bearer: Option<String>,
}

/// Who reads a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Those who look after the platform.
    Admins,
    /// Whose bot it is about: in words for them, and without what only admins can do.
    Owner,
}

/// The message for a sink.
///
/// # Errors
/// It cannot be written as JSON, which no such text is.
pub fn message(
    access: &SinkAccess,
    notice: &Notice,
    audience: Audience,
    now: u64,
) -> Result<SinkMessage, serde_json::Error> {
    let text = text(notice, audience);
    let body = match access.kind {
        SinkKind::Webhook => serde_json::to_string(&webhook(notice, audience, now)),
        SinkKind::Slack => serde_json::to_string(&Slack {
            text: for_slack(&text),
        }),
        SinkKind::Discord => serde_json::to_string(&Discord {
            content: text,
            allowed_mentions: Mentions { parse: [] },
        }),
        SinkKind::Telegram => serde_json::to_string(&Telegram {
            chat_id: access.chat.as_deref().unwrap_or_default(),
            text,
            link_preview_options: LinkPreview { is_disabled: true },
        }),
        SinkKind::Alertmanager => serde_json::to_string(&[alertmanager(notice, now)]),
    }?;
    let bearer = access
        .secret
        .clone()
        .filter(|_| access.kind == SinkKind::Alertmanager);
    Ok(SinkMessage { body, bearer })
}

/// Whether this minute is one in which Alertmanager is sent again what goes on.
pub fn is_resent_in(now: u64) -> bool {
    (now / MINUTE_MS).is_multiple_of(RESENT_EVERY_MINUTES)
}

/// All of what goes on, for an Alertmanager. It knows one it has by its labels, so that nothing is told twice.
///
/// # Errors
/// As [`message`].
pub fn resent(
    access: &SinkAccess,
    notices: &[Notice],
    now: u64,
) -> Result<Vec<SinkMessage>, serde_json::Error> {
    let message = |notices: &[Notice]| {
        let alerts: Vec<_> = notices.iter().map(|notice| alertmanager(notice, now)).collect();
        Ok(SinkMessage {
            body: serde_json::to_string(&alerts)?,
            bearer: access.secret.clone(),
        })
    };
    notices.chunks(MAX_RESENT).map(message).collect()
}

/// What a webhook's signature is over (Standard Webhooks).
pub fn signed_content(message_id: &str, at_seconds: u64, body: &str) -> String {
    format!("{message_id}.{at_seconds}.{body}")
}

#[derive(Serialize)]
struct Slack {
    text: String,
}

#[derive(Serialize)]
struct Discord {
    content: String,
    allowed_mentions: Mentions,
}

#[derive(Serialize)]
struct Mentions {
    parse: [&'static str; 0],
}

#[derive(Serialize)]
struct Telegram<'a> {
    chat_id: &'a str,
    text: String,
    link_preview_options: LinkPreview,
}

#[derive(Serialize)]
struct LinkPreview {
    is_disabled: bool,
}

#[derive(Serialize)]
struct Webhook<'a> {
    r#type: String,
    timestamp: String,
    data: WebhookData<'a>,
}

#[derive(Serialize)]
struct WebhookData<'a> {
    incident: &'a str,
    rule: Option<Rule>,
    severity: Severity,
    subject: &'a str,
    title: &'static str,
    detail: Option<&'a str>,
    opened_at: String,
    closed_at: Option<String>,
    count: u64,
    runbook: Option<String>,
}

#[derive(Serialize)]
struct Alert<'a> {
    labels: Labels<'a>,
    annotations: Annotations<'a>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
}

/// What makes an alert that alert: the same when it begins and when it is over.
#[derive(Serialize)]
struct Labels<'a> {
    alertname: &'static str,
    severity: &'static str,
    subject: &'a str,
    incident: &'a str,
    platform: &'static str,
}

#[derive(Serialize)]
struct Annotations<'a> {
    summary: &'static str,
    description: &'a str,
    runbook: String,
}

fn webhook(notice: &Notice, audience: Audience, now: u64) -> Webhook<'_> {
    Webhook {
        r#type: format!("incident.{}", notice.kind.as_str()),
        timestamp: timestamp(now),
        data: WebhookData {
            incident: &notice.incident,
            rule: notice.rule,
            severity: severity(notice),
            subject: &notice.subject,
            title: title(notice, audience),
            detail: notice.detail.as_deref(),
            opened_at: timestamp(notice.opened_at),
            closed_at: notice.closed_at.map(timestamp),
            count: notice.count,
            runbook: (audience == Audience::Admins).then(|| runbook(notice)),
        },
    }
}

fn alertmanager(notice: &Notice, now: u64) -> Alert<'_> {
    let ends_at = match notice.kind {
        NoticeKind::Opened | NoticeKind::Escalated => now.saturating_add(FIRING_MS),
        NoticeKind::Recovered => notice.closed_at.unwrap_or(now),
        // It shows and is gone a minute later.
        NoticeKind::Test => now.saturating_add(60_000),
    };
    Alert {
        labels: Labels {
            alertname: notice.rule.map_or("test", Rule::as_str),
            severity: severity(notice).as_str(),
            subject: &notice.subject,
            incident: &notice.incident,
            platform: "moltworker",
        },
        annotations: Annotations {
            summary: title(notice, Audience::Admins),
            description: notice.detail.as_deref().unwrap_or_default(),
            runbook: runbook(notice),
        },
        starts_at: timestamp(notice.opened_at),
        ends_at: timestamp(ends_at),
    }
}

fn severity(notice: &Notice) -> Severity {
    notice
        .rule
        .map_or(Severity::Warning, |rule| rule.facts().severity)
}

fn title(notice: &Notice, audience: Audience) -> &'static str {
    let Some(rule) = notice.rule else {
        return "This is a test: nothing is wrong";
    };
    let own = owner::words(rule).filter(|_| audience == Audience::Owner);
    own.unwrap_or(rule.facts().title)
}

fn runbook(notice: &Notice) -> String {
    notice
        .rule
        .map_or_else(|| "docs/operations.md#sinks".to_owned(), Rule::runbook)
}

/// The message in words.
fn text(notice: &Notice, audience: Audience) -> String {
    let mark = match notice.kind {
        NoticeKind::Opened => severity(notice).as_str(),
        NoticeKind::Escalated => "still open",
        NoticeKind::Recovered => "recovered",
        NoticeKind::Test => "test",
    };
    let mut text = format!("[{mark}] {} ({})", title(notice, audience), notice.subject);
    let since = timestamp(notice.opened_at);
    match notice.closed_at {
        Some(closed) => text.push_str(&format!("\nfrom {since} to {}", timestamp(closed))),
        None => text.push_str(&format!("\nsince {since}")),
    }
    if let Some(detail) = &notice.detail {
        text.push_str(&format!("\n{detail}"));
    }
    if notice.kind != NoticeKind::Recovered && audience == Audience::Admins {
        text.push_str(&format!("\nwhat to do: {}", runbook(notice)));
    }
    text.push_str(&format!("\nincident {}", notice.incident));
    let printable = |character: char| !character.is_control() || character == '\n';
    text.chars().filter(|c| printable(*c)).take(MAX_TEXT).collect()
}

/// Slack reads these three as its markup.
fn for_slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A moment as RFC 3339 has it, to the second.
pub fn timestamp(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days in eras of 400 years that begin with a March, so that the leap day is their last.
    let from_era = days + 719_468;
    let (era, of_era) = (from_era / 146_097, from_era % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

#[cfg(test)]
mod tests;
