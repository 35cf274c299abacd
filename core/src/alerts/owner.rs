//! What owners are told: of their own bot, in words for them, at a sink of their own. An owner is a stranger, so what they can have
//! the platform send is bounded.

use super::facts::rule_of;
use super::internal_hosts::InternalHosts;
use super::rules::Rule;
use super::sink::{BadSink, OwnerSinkRequest, SinkAccess, SinkKind, SinkRequest};
use crate::bot::incidents::IncidentKind;
use crate::user_id::UserId;

/// Messages to one owner within an hour that something began; that it is over is always told. A bot that its owner makes fail again
/// and again is no reason to send more.
pub const MAX_MESSAGES_AN_HOUR: u32 = 20;
/// How often an owner may try their sink within an hour: enough to set it up.
pub const MAX_TESTS_AN_HOUR: u32 = 5;
/// The hour in which messages and tries are counted.
pub const HOUR_MS: u64 = 60 * 60_000;
/// Owners' messages that are sent in one tick, after those of the admins.
pub const MAX_AT_ONCE: u32 = 50;
/// Owners' sinks that are sent to side by side: as many connections as may be open. More would wait with their deadlines running,
/// and somebody's sink that hangs must not cost others theirs.
pub const SIDE_BY_SIDE: usize = 6;
/// What the name of an owner's sink begins with; longer than any name of an admin's sink with the id that follows.
pub const PREFIX: &str = "owner-";

/// The name under which an owner's messages wait. No admin's sink has one as long.
pub fn sink_of(user: UserId) -> String {
    format!("{PREFIX}{user}")
}

/// Whose sink this is, if it is an owner's.
pub fn owner_of(sink: &str) -> Option<UserId> {
    sink.strip_prefix(PREFIX)?.parse().ok()
}

impl OwnerSinkRequest {
    /// What opens the sink, and its host. Hosts that the operator allows to admins are none of theirs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self) -> Result<(SinkAccess, String), BadSink> {
        if self.kind == SinkKind::Alertmanager {
            return Err(BadSink::NotForOwners);
        }
        let request = SinkRequest {
            name: "owner".to_owned(),
            kind: self.kind,
            url: self.url,
            secret: self.secret,
            chat: self.chat,
        };
        request.check(&InternalHosts::default())
    }
}

/// What a rule says to the owner of the bot it is about; nothing where it is about no bot.
pub fn words(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::BotUnhealthy => "Your bot does not answer. It is being brought back by itself",
        Rule::CrashLoop => "Your bot fails again and again, and is left alone until somebody looks after it",
        Rule::StartSlow => "Your bot takes long to start",
        Rule::BackupFailing => {
            "What your bot changes cannot be saved at the moment. It is tried again by itself"
        }
        Rule::BackupOverdue => "What your bot has changed waits longer than usual to be saved",
        Rule::RestoreFailing => {
            "Your bot's files cannot be brought back at the moment, so it does not start. It is tried again by itself"
        }
        Rule::PassedOver => {
            "Your bot was started from an older state than its newest, and waits for your decision"
        }
        Rule::MaintenanceFailing => {
            "The store of your bot's snapshots could not be tidied up. Nothing is lost"
        }
        Rule::RepositoryDamaged => {
            "Some of your bot's older snapshots may be damaged. Your administrators have been told"
        }
        Rule::DrillFailing => {
            "A trial of restoring your bot's newest snapshot failed. Your administrators have been told"
        }
        Rule::OutOfMemory => "Your bot ran out of memory twice within a day, and was started again each time",
        Rule::SpendNearLimit => "Your bot has cost most of what it may this month",
        Rule::SpendOverLimit => {
            "Your bot has cost what it may this month, and sleeps until the month is over or an administrator raises its limit"
        }
        Rule::CapacityShort
        | Rule::CapacityRefused
        | Rule::CronLate
        | Rule::DatabaseFailing
        | Rule::BucketDown
        | Rule::IdentityDown
        | Rule::QueueFailing
        | Rule::ContainersRefused
        | Rule::AnswersFailing
        | Rule::BotsLeftOut
        | Rule::SinkFailing => return None,
    })
}

/// What is wrong by a bot's own status, in the same words; nothing where its pages say it in another place.
pub fn words_of(kind: IncidentKind) -> Option<&'static str> {
    match kind {
        // The one has a question with two buttons, the other is the page's own subject.
        IncidentKind::PassedOver | IncidentKind::NoCapacity => None,
        IncidentKind::DatabaseNotCopied => Some(
            "Some of your bot's databases can only be saved as the files they are. The history says which",
        ),
        _ => words(rule_of(kind)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::rules::Watches;
    use crate::alerts::sink::is_name;

    #[test]
    fn an_owner_is_told_of_bots_and_of_nothing_of_the_platform() {
        for rule in Rule::ALL {
            let is_of_bots = rule.facts().watches == Watches::Bots;
            assert_eq!(words(rule).is_some(), is_of_bots, "{rule:?}");
        }
    }

    #[test]
    fn the_sink_of_an_owner_is_no_name_an_admin_can_give() {
        let user: UserId = "de000000-0000-4000-8000-000000000001".parse().unwrap();
        assert_eq!(owner_of(&sink_of(user)), Some(user));
        assert!(!is_name(&sink_of(user)));
        for other in ["ops", "owner-", "owner-1", "de000000-0000-4000-8000-000000000001"] {
            assert_eq!(owner_of(other), None, "{other}");
        }
    }

    #[test]
    fn an_owner_can_have_nothing_sent_that_an_operator_allows_admins() {
        let request = |kind, url: &str| OwnerSinkRequest {
            kind,
            url: Some(url.into()),
            secret: None,
            chat: None,
        };
        let checked = |kind, url| request(kind, url).check().map(|(_, host)| host);
        assert_eq!(
            checked(SinkKind::Slack, "https://hooks.example.com/x"),
            Ok("hooks.example.com".into())
        );
        assert_eq!(
            checked(SinkKind::Alertmanager, "https://am.example.com"),
            Err(BadSink::NotForOwners)
        );
        for inside in [
            "http://hooks.example.com",
            "https://10.0.0.5:9093",
            "https://localhost",
            "https://am.internal",
        ] {
            assert!(checked(SinkKind::Discord, inside).is_err(), "{inside}");
        }
    }
}
