//! Mutes of alerts as admins set and end them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use crate::alerts::policy::{MAX_MUTE_DAYS, Mute};
use crate::alerts::rules::Rule;

/// Characters of a subject that is muted: more than a user id or a name has.
pub const MAX_SUBJECT: usize = 64;
const DAY_MS: u64 = 24 * 60 * 60_000;

/// What is muted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MuteList {
    /// The one that ends next comes first.
    pub mutes: Vec<Mute>,
}

/// What to mute: a rule, a subject, or a rule at a subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MuteRequest {
    /// Which rule; every one where it is left out.
    #[serde(default)]
    pub rule: Option<Rule>,
    /// Whose bot, or which other subject; every one where it is left out.
    #[serde(default)]
    pub subject: Option<String>,
    /// Until when.
    pub until: u64,
}

/// Names one mute, by what it mutes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MuteName {
    /// Its rule, if it has one.
    #[serde(default)]
    pub rule: Option<Rule>,
    /// Its subject, if it has one.
    #[serde(default)]
    pub subject: Option<String>,
}

/// Why something is not muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMute {
    /// Neither a rule nor a subject.
    #[error("rule or subject: nothing is muted altogether")]
    Everything,
    /// A subject that nothing has.
    #[error("subject: a user id, a part of the platform, or a sink")]
    Subject,
    /// An end that is over, or too far away.
    #[error("until: a time from now on, within {MAX_MUTE_DAYS} days, in milliseconds since 1970")]
    Until,
}

impl MuteRequest {
    /// The mute that an admin asks for at this time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn into_mute(self, admin: String, now: u64) -> Result<Mute, BadMute> {
        let Self { rule, subject, until } = self;
        if rule.is_none() && subject.is_none() {
            return Err(BadMute::Everything);
        }
        check_subject(subject.as_deref())?;
        if until <= now || until > now.saturating_add(MAX_MUTE_DAYS * DAY_MS) {
            return Err(BadMute::Until);
        }
        Ok(Mute {
            rule,
            subject,
            until,
            muted_by: admin,
            muted_at: now,
        })
    }
}

impl MuteName {
    /// Whether it can be the name of one.
    ///
    /// # Errors
    /// Its subject is none that something has.
    pub fn check(&self) -> Result<(), BadMute> {
        check_subject(self.subject.as_deref())
    }
}

fn check_subject(subject: Option<&str>) -> Result<(), BadMute> {
    match subject {
        Some(subject) if subject.is_empty() || subject.len() > MAX_SUBJECT => Err(BadMute::Subject),
        _ => Ok(()),
    }
}

/// What a mute is about, in the history's words.
pub fn words(rule: Option<Rule>, subject: Option<&str>) -> String {
    format!(
        "{} at {}",
        rule.map_or("every rule", Rule::as_str),
        subject.unwrap_or("every subject")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const LONGEST: u64 = NOW + MAX_MUTE_DAYS * DAY_MS;

    fn asked(rule: Option<Rule>, subject: Option<&str>, until: u64) -> Result<Mute, BadMute> {
        let request = MuteRequest {
            rule,
            subject: subject.map(str::to_owned),
            until,
        };
        request.into_mute("an-admin".into(), NOW)
    }

    #[test]
    fn a_mute_ends_after_now_and_within_its_days() {
        let rule = Some(Rule::CrashLoop);
        for (until, expected) in [
            (0, Err(BadMute::Until)),
            (NOW, Err(BadMute::Until)),
            (NOW + 1, Ok(NOW + 1)),
            (LONGEST, Ok(LONGEST)),
            (LONGEST + 1, Err(BadMute::Until)),
            (u64::MAX, Err(BadMute::Until)),
        ] {
            assert_eq!(
                asked(rule, None, until).map(|mute| mute.until),
                expected,
                "{until}"
            );
        }
    }

    #[test]
    fn a_mute_has_a_rule_or_a_subject_of_some_length() {
        let long = "x".repeat(MAX_SUBJECT + 1);
        assert_eq!(asked(None, None, LONGEST), Err(BadMute::Everything));
        for bad in ["", long.as_str()] {
            assert_eq!(asked(None, Some(bad), LONGEST), Err(BadMute::Subject), "{bad:?}");
            let name = MuteName {
                rule: Some(Rule::CrashLoop),
                subject: Some(bad.into()),
            };
            assert_eq!(name.check(), Err(BadMute::Subject), "{bad:?}");
        }
        let mute = asked(None, Some("cron"), LONGEST).unwrap();
        assert_eq!((mute.muted_by.as_str(), mute.muted_at), ("an-admin", NOW));
        assert_eq!(words(mute.rule, mute.subject.as_deref()), "every rule at cron");
        assert_eq!(words(Some(Rule::CrashLoop), None), "crash-loop at every subject");
    }
}
