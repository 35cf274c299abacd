//! Facts: what is wrong at this moment, as far as anybody knows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rules::{EXPLAINED_AFTER_MS, PLATFORM, Rule, Watches};
use crate::bot::bot_state::BotState;
use crate::bot::heartbeat;
use crate::bot::history::truncate_detail;
use crate::bot::incidents::IncidentKind;
use crate::user_id::UserId;

/// Bots with something wrong that are looked at in one tick: more than any but a failure of the platform makes. What is behind
/// them is unknown in that tick, which is an incident of its own.
pub const MAX_BOTS: usize = 2_000;
/// Bots that sleep, and of which nothing but what they have spent is to be said: for the rest of a month, so that there may be more of
/// them than of all others. They are looked at beside those and push none of them out.
pub const MAX_SPENT: usize = 2_000;
/// What there is to say about a bot whose Sandbox is silent.
const SILENT: &str = "nobody hears from its Sandbox";
/// At how many taken slots of a hundred it is time to get more.
const SHORT_PERCENT: u64 = 90;

/// The minutes over which answers are counted: long enough for a few in a small fleet.
pub const ANSWERS_MINUTES: u64 = 5;
/// How many answers of a hundred may fail, of one class of requests.
const FAILING_PERCENT: u64 = 10;
/// Fewer that fail are bad luck.
const MIN_FAILED: u64 = 5;

/// Something wrong with one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What is wrong.
    pub rule: Rule,
    /// With what.
    pub subject: String,
    /// Since when, where that is known.
    pub since: Option<u64>,
    /// When whoever says so wrote it down, where that is not now: a Sandbox that sleeps says it for weeks.
    pub seen_at: Option<u64>,
    /// What there is to say about it.
    pub detail: Option<String>,
}

/// All that is wrong at this moment. What is not there is not wrong, unless it is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What is wrong.
    pub sightings: Vec<Sighting>,
    /// Bots behind this one, by user id, were not looked at.
    pub bots_known_to: Option<String>,
    /// The same of those that sleep and of which only what they have spent is to be said.
    pub spent_known_to: Option<String>,
    /// Parts of the platform that nobody knows about.
    pub unknown: Vec<Rule>,
    /// Bots on their way from one state to the next: whether they are well again is seen when they have got there.
    pub under_way: BTreeSet<String>,
    /// Causes for the whole platform that are over.
    pub outages: Vec<Outage>,
}

/// A cause for the whole platform that is over: what was seen while it went on, and never since, says nothing about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Which one.
    pub rule: Rule,
    /// When it was first seen.
    pub from: u64,
    /// When it was over.
    pub to: u64,
}

impl Outage {
    /// Whether this was last seen while it went on, and may be its doing.
    pub fn covers(&self, sighting: &Sighting) -> bool {
        let explains = sighting.rule.facts().explained_by.contains(&self.rule);
        // It began before anybody looked for it.
        let from = self.from.saturating_sub(EXPLAINED_AFTER_MS);
        explains && sighting.seen_at.is_some_and(|at| (from..=self.to).contains(&at))
    }
}

impl Facts {
    /// Whether nobody knows if this is wrong.
    pub fn is_unknown(&self, rule: Rule, subject: &str) -> bool {
        let is_behind = |last: &Option<String>| last.as_deref().is_some_and(|last| subject > last);
        let is_of_spending = matches!(rule, Rule::SpendNearLimit | Rule::SpendOverLimit);
        let not_looked_at =
            || is_behind(&self.bots_known_to) || (is_of_spending && is_behind(&self.spent_known_to));
        let is_of_state = matches!(rule, Rule::CrashLoop | Rule::BotUnhealthy);
        self.unknown.contains(&rule)
            || (is_of_state && self.under_way.contains(subject))
            || (rule.facts().watches == Watches::Bots && not_looked_at())
    }

    fn see(&mut self, rule: Rule, subject: impl Into<String>, since: Option<u64>, detail: Option<String>) {
        self.sightings.push(Sighting {
            rule,
            subject: subject.into(),
            since,
            seen_at: None,
            detail: detail.map(|detail| truncate_detail(&detail)),
        });
    }
}

/// A bot with something wrong, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotFacts {
    /// Whose it is.
    pub user_id: UserId,
    /// Where it is in its life.
    pub state: BotState,
    /// Since when.
    pub since: u64,
    /// What was last observed of its gateway.
    pub health: String,
    /// Whether it may have a container: 1 if so.
    pub awake: u64,
    /// When its Sandbox last wrote all this; zero where an older version did.
    pub heartbeat_at: u64,
    /// The kinds of its open incidents, a JSON list.
    pub incidents: String,
}

/// How a part of the platform is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentFacts {
    /// Its name.
    pub component: String,
    /// `ok`, `degraded`, `down`, or `unknown`.
    pub state: String,
    /// Since when.
    pub since: Option<u64>,
    /// Why it is so.
    pub reason: Option<String>,
}

/// A sink that does not take its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkFacts {
    /// Which one.
    pub name: String,
    /// Since when.
    pub failing_since: u64,
    /// Why it fails.
    pub last_error: Option<String>,
}

/// The answers to one class of requests in the last [`ANSWERS_MINUTES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerFacts {
    /// What the requests were for.
    pub class: String,
    /// How many there were.
    pub answers: u64,
    /// How many of them failed by the platform's own fault.
    pub failed: u64,
}

/// What there is to read of the fleet.
#[derive(Debug, Default)]
pub struct FleetFacts<'a> {
    /// When it was read.
    pub now: u64,
    /// Causes for the whole platform that are over.
    pub outages: Vec<Outage>,
    /// Bots with something wrong, by user id.
    pub bots: &'a [BotFacts],
    /// Those that sleep and of which only what they have spent is to be said, by user id.
    pub spent: &'a [BotFacts],
    /// How the parts of the platform are; nothing where that could not be read.
    pub components: Option<&'a [ComponentFacts]>,
    /// Sinks that fail.
    pub sinks: &'a [SinkFacts],
    /// How requests were answered lately.
    pub answers: &'a [AnswerFacts],
    /// Bots that take a slot.
    pub awake: u64,
    /// How many may.
    pub max_awake: Option<u64>,
}

/// What all that means by the rules.
pub fn facts(observed: &FleetFacts<'_>) -> Facts {
    let mut facts = Facts {
        outages: observed.outages.clone(),
        ..Facts::default()
    };
    let mut refused = None;
    for bot in observed.bots.iter().chain(observed.spent) {
        let before = facts.sightings.len();
        facts.see_bot(bot, &mut refused);
        for sighting in facts.sightings.iter_mut().skip(before) {
            sighting.seen_at = Some(bot.heartbeat_at);
        }
        if bot.is_silent(observed.now) {
            facts.see_silence(bot);
        }
    }
    facts.bots_known_to = last_of(observed.bots, MAX_BOTS);
    facts.spent_known_to = last_of(observed.spent, MAX_SPENT);
    if let Some(detail) = facts.left_out() {
        facts.see(Rule::BotsLeftOut, PLATFORM, None, Some(detail));
    }
    if let Some(user) = refused {
        facts.see(
            Rule::CapacityRefused,
            PLATFORM,
            None,
            Some(format!("first of them {user}")),
        );
    }
    if let Some(max) = observed.max_awake
        && observed.awake.saturating_mul(100) >= max.saturating_mul(SHORT_PERCENT)
    {
        let detail = format!("at least {SHORT_PERCENT} of 100, of {max} slots");
        facts.see(Rule::CapacityShort, PLATFORM, None, Some(detail));
    }
    if let Some(detail) = failing_answers(observed.answers) {
        facts.see(Rule::AnswersFailing, PLATFORM, None, Some(detail));
    }
    facts.see_components(observed.components);
    for sink in observed.sinks {
        let detail = sink.last_error.clone();
        facts.see(Rule::SinkFailing, &sink.name, Some(sink.failing_since), detail);
    }
    facts
}

/// Up to which bot these are known, if there may be more of them.
fn last_of(bots: &[BotFacts], most: usize) -> Option<String> {
    let last = bots.last().filter(|_| bots.len() >= most)?;
    Some(last.user_id.to_string())
}

/// The texts that `incidents` of a bot has of which only what it has spent is to be said.
pub fn only_spent() -> [String; 4] {
    use IncidentKind::{SpendNearLimit, SpendOverLimit};
    let text = |kinds: &[IncidentKind]| {
        let kinds: Vec<_> = kinds
            .iter()
            .map(|kind| format!("\"{}\"", kind.as_str()))
            .collect();
        format!("[{}]", kinds.join(","))
    };
    [
        text(&[SpendNearLimit]),
        text(&[SpendOverLimit]),
        text(&[SpendNearLimit, SpendOverLimit]),
        text(&[SpendOverLimit, SpendNearLimit]),
    ]
}

/// Which answers fail too often, in words. Each class by itself: what a busy one answers well hides no other that fails.
fn failing_answers(answers: &[AnswerFacts]) -> Option<String> {
    let too_many = |of: &&AnswerFacts| {
        let share = of.failed.saturating_mul(100) >= of.answers.saturating_mul(FAILING_PERCENT);
        of.failed >= MIN_FAILED && share
    };
    let told: Vec<_> = answers
        .iter()
        .filter(too_many)
        .map(|of| format!("{}: {} of {} answers", of.class, of.failed, of.answers))
        .collect();
    (!told.is_empty()).then(|| format!("in {ANSWERS_MINUTES} minutes failed of {}", told.join(", ")))
}

impl BotFacts {
    /// Whether nobody hears from its Sandbox, and looking did not help: only the look of a tick before may still be under way.
    fn is_silent(&self, now: u64) -> bool {
        self.awake == 1 && self.heartbeat_at != 0 && self.heartbeat_at <= heartbeat::late_before(now)
    }
}

impl Facts {
    /// Which bots were not looked at, in words; always the same ones, so that nothing changes from tick to tick.
    fn left_out(&self) -> Option<String> {
        let (bots, spent) = (&self.bots_known_to, &self.spent_known_to);
        let of_bots = bots
            .as_ref()
            .map(|_| format!("{MAX_BOTS} bots or more have something wrong"));
        let of_spent = spent
            .as_ref()
            .map(|_| format!("{MAX_SPENT} bots or more sleep with most of their limit spent"));
        let parts: Vec<String> = of_bots.into_iter().chain(of_spent).collect();
        (!parts.is_empty()).then(|| format!("{}: of those behind them nothing is told", parts.join(", and ")))
    }

    /// Whatever it said last: it is not on its way anywhere.
    fn see_silence(&mut self, bot: &BotFacts) {
        let user = bot.user_id.to_string();
        self.under_way.remove(&user);
        self.sightings
            .retain(|one| one.rule != Rule::BotUnhealthy || one.subject != user);
        self.see(Rule::BotUnhealthy, user, None, Some(SILENT.to_owned()));
    }

    fn see_bot(&mut self, bot: &BotFacts, refused: &mut Option<UserId>) {
        let user = bot.user_id.to_string();
        let since = Some(bot.since);
        match bot.state {
            BotState::CrashLooped => self.see(Rule::CrashLoop, user.as_str(), since, None),
            BotState::Starting => {
                self.see(Rule::StartSlow, user.as_str(), since, None);
                self.under_way.insert(user.clone());
            }
            BotState::Restoring | BotState::Stopping | BotState::BackingOff => {
                self.under_way.insert(user.clone());
            }
            // Without since when: it may have been unwell in another state before, and that counts.
            BotState::Unhealthy => self.see(Rule::BotUnhealthy, user.as_str(), None, None),
            BotState::Running if bot.health != "healthy" => {
                let detail = format!("last observed: {}", bot.health);
                self.see(Rule::BotUnhealthy, user.as_str(), None, Some(detail));
            }
            _ => {}
        }
        let kinds: Vec<IncidentKind> = crate::json::read(&bot.incidents).unwrap_or_default();
        for kind in kinds {
            if kind == IncidentKind::NoCapacity {
                refused.get_or_insert(bot.user_id);
            }
            if let Some(rule) = rule_of(kind) {
                self.see(rule, user.as_str(), None, None);
            }
        }
    }

    fn see_components(&mut self, components: Option<&[ComponentFacts]>) {
        for rule in Rule::ALL {
            let Watches::Component(name) = rule.facts().watches else {
                continue;
            };
            let found = components
                .unwrap_or_default()
                .iter()
                .find(|component| component.component == name);
            match found.map(|component| (component.state.as_str(), component)) {
                Some(("degraded" | "down", component)) => {
                    self.see(rule, name, component.since, component.reason.clone())
                }
                Some(("ok", _)) => {}
                _ => self.unknown.push(rule),
            }
        }
    }
}

/// The rule about what a Sandbox says is wrong with its bot.
pub fn rule_of(kind: IncidentKind) -> Option<Rule> {
    match kind {
        IncidentKind::BackupOverdue => Some(Rule::BackupOverdue),
        IncidentKind::BackupFailing => Some(Rule::BackupFailing),
        IncidentKind::RestoreFailing => Some(Rule::RestoreFailing),
        IncidentKind::MaintenanceFailing => Some(Rule::MaintenanceFailing),
        IncidentKind::PassedOver => Some(Rule::PassedOver),
        IncidentKind::RepositoryDamaged => Some(Rule::RepositoryDamaged),
        IncidentKind::DrillFailing => Some(Rule::DrillFailing),
        IncidentKind::OutOfMemory => Some(Rule::OutOfMemory),
        IncidentKind::SpendNearLimit => Some(Rule::SpendNearLimit),
        IncidentKind::SpendOverLimit => Some(Rule::SpendOverLimit),
        // The first is the platform's. A suspicious snapshot is passed over at the next start, and then it is told; a
        // database that is stored as the files it is loses nothing.
        IncidentKind::NoCapacity
        | IncidentKind::SnapshotSuspicious
        | IncidentKind::DatabaseNotCopied
        | IncidentKind::Unknown => None,
    }
}
