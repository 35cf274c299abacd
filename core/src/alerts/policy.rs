//! What admins decide about alerts: other thresholds, quiet hours, and what is muted until when.

use serde::{Deserialize, Serialize};

use super::incident::Incident;
use super::rules::{MINUTE_MS, Rule, Severity};

/// Minutes of a day.
const DAY_MINUTES: u64 = 24 * 60;
/// The longest a threshold may be, in seconds: a day. Whoever wants more mutes the rule.
pub const MAX_THRESHOLD_SECONDS: u64 = 24 * 60 * 60;
/// The longest something may be muted, in days: a mute nobody ends would be an alert nobody gets.
pub const MAX_MUTE_DAYS: u64 = 31;

/// How alerts are made and told. What is left out stays as the table of rules has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertSettings {
    /// When only what is critical is told; the rest follows at their end.
    #[serde(default)]
    pub quiet: Option<QuietHours>,
    /// Rules with thresholds of their own.
    #[serde(default)]
    pub rules: Vec<RuleSetting>,
}

/// The settings as they are stored. Another version may have stored them, and one rule it has or had costs nobody the rest.
#[derive(Deserialize)]
struct StoredSettings {
    #[serde(default)]
    quiet: Option<StoredHours>,
    #[serde(default)]
    rules: Vec<StoredRule>,
}

#[derive(Deserialize)]
struct StoredHours {
    from: String,
    to: String,
}

#[derive(Deserialize)]
struct StoredRule {
    rule: String,
    #[serde(default)]
    opens_after_s: Option<u64>,
    #[serde(default)]
    closes_after_s: Option<u64>,
    #[serde(default)]
    off: Option<bool>,
}

/// Hours of each day, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuietHours {
    /// Their first minute, `22:00`.
    pub from: String,
    /// The first minute after them, `07:00`; before `from`, it is the next day's.
    pub to: String,
}

/// A rule's own thresholds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleSetting {
    /// Which one.
    pub rule: Rule,
    /// How long it must hold before it is an incident, in seconds.
    #[serde(default)]
    pub opens_after_s: Option<u64>,
    /// How long its cause must be gone before it is over, in seconds.
    #[serde(default)]
    pub closes_after_s: Option<u64>,
    /// It makes no incidents; those that are open are closed.
    #[serde(default)]
    pub off: Option<bool>,
}

/// Settings that make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// Not `HH:MM`.
    #[error("quiet: from and to are times of the day in UTC, such as 22:00 and 07:00")]
    NotATime,
    /// All day, or never.
    #[error("quiet: from and to are the same; leave quiet out for no quiet hours")]
    NoHours,
    /// A rule is there twice.
    #[error("rules: a rule is there twice")]
    Twice,
    /// Longer than a day.
    #[error("rules: a threshold is at most {MAX_THRESHOLD_SECONDS} seconds")]
    TooLong,
}

impl AlertSettings {
    /// Reads what is stored; without rules that this version does not have.
    ///
    /// # Errors
    /// It is no such document.
    pub fn stored(text: &str) -> Result<Self, crate::json::Error> {
        let stored: StoredSettings = crate::json::read(text)?;
        let known = |setting: StoredRule| {
            Some(RuleSetting {
                rule: Rule::parse(&setting.rule)?,
                opens_after_s: setting.opens_after_s,
                closes_after_s: setting.closes_after_s,
                off: setting.off,
            })
        };
        let quiet = stored
            .quiet
            .map(|StoredHours { from, to }| QuietHours { from, to });
        let rules = stored.rules.into_iter().filter_map(known).collect();
        Ok(Self { quiet, rules })
    }

    /// Whether they make sense.
    ///
    /// # Errors
    /// Why they do not.
    pub fn check(&self) -> Result<(), BadSettings> {
        if let Some(quiet) = &self.quiet {
            let (from, to) = quiet.minutes().ok_or(BadSettings::NotATime)?;
            if from == to {
                return Err(BadSettings::NoHours);
            }
        }
        for (at, setting) in self.rules.iter().enumerate() {
            if self.rules.iter().take(at).any(|other| other.rule == setting.rule) {
                return Err(BadSettings::Twice);
            }
            let too_long =
                |seconds: Option<u64>| seconds.is_some_and(|seconds| seconds > MAX_THRESHOLD_SECONDS);
            if too_long(setting.opens_after_s) || too_long(setting.closes_after_s) {
                return Err(BadSettings::TooLong);
            }
        }
        Ok(())
    }

    fn of(&self, rule: Rule) -> Option<&RuleSetting> {
        self.rules.iter().find(|setting| setting.rule == rule)
    }

    /// How long a rule must hold before it is an incident.
    pub fn opens_after_ms(&self, rule: Rule) -> u64 {
        let own = self.of(rule).and_then(|setting| setting.opens_after_s);
        own.map_or(rule.facts().opens_after_ms, |seconds| {
            seconds.saturating_mul(1_000)
        })
    }

    /// How long its cause must be gone.
    pub fn closes_after_ms(&self, rule: Rule) -> u64 {
        let own = self.of(rule).and_then(|setting| setting.closes_after_s);
        own.map_or(rule.facts().closes_after_ms, |seconds| {
            seconds.saturating_mul(1_000)
        })
    }

    /// Whether it makes no incidents.
    pub fn is_off(&self, rule: Rule) -> bool {
        self.of(rule).is_some_and(|setting| setting.off == Some(true))
    }

    /// Whether what is this bad waits for the end of the quiet hours.
    pub fn holds_back(&self, severity: Severity, now: u64) -> bool {
        let quiet = self.quiet.as_ref().and_then(QuietHours::minutes);
        let Some((from, to)) = quiet.filter(|_| severity != Severity::Critical) else {
            return false;
        };
        let minute = (now / MINUTE_MS) % DAY_MINUTES;
        if from < to {
            (from..to).contains(&minute)
        } else {
            minute >= from || minute < to
        }
    }
}

impl QuietHours {
    fn minutes(&self) -> Option<(u64, u64)> {
        Some((minute_of_day(&self.from)?, minute_of_day(&self.to)?))
    }
}

fn minute_of_day(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u64>().ok().filter(|_| digits)
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// What is recorded and not told until its end: a rule, a bot, or a rule at one bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Mute {
    /// Which rule; null for all of them.
    pub rule: Option<Rule>,
    /// Whose bot, or the name of another subject; null for all.
    pub subject: Option<String>,
    /// Until when, in milliseconds since 1970.
    pub until: u64,
    /// The admin who made it.
    pub muted_by: String,
    /// When, in milliseconds since 1970.
    pub muted_at: u64,
}

impl Mute {
    /// Whether it is about this incident, now.
    pub fn covers(&self, incident: &Incident, now: u64) -> bool {
        now < self.until
            && self.rule.is_none_or(|rule| rule == incident.rule)
            && self
                .subject
                .as_ref()
                .is_none_or(|subject| *subject == incident.subject)
    }
}
