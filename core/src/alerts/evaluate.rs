//! What facts mean for incidents, and what of that is told.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::facts::{Facts, Outage, Sighting};
use super::incident::{ESCALATES_AFTER_MS, Incident, Notice, NoticeKind, SIGHTING_MS, UNSEEN_MS};
use super::policy::{AlertSettings, Mute};
use super::rules::{Rule, Watches};

/// Incidents that change in one tick: with their messages to ten sinks some 4 MB in one transaction. What is left is judged by the next
/// tick, the worst first.
pub const MAX_CHANGES: usize = 500;
/// Why an incident is over: its cause is.
const GONE: &str = "the cause is gone";
/// Why an incident is over: nobody wants to know.
const SWITCHED_OFF: &str = "the rule was switched off";

/// What becomes of incidents.
#[derive(Debug, Default)]
pub struct IncidentChanges {
    /// New ones.
    pub added: Vec<Incident>,
    /// Ones that changed, each with a revision higher by one than what is stored.
    pub changed: Vec<Incident>,
    /// Ones that waited and became none.
    pub dropped: Vec<Incident>,
    /// What is to be told, each in the same step as the change of its incident.
    pub notices: Vec<Notice>,
    /// The same for the owners of the bots it is about.
    pub owners_notices: Vec<Notice>,
    /// How many were left to the next tick.
    pub left: usize,
}

/// One message to one sink, to be written down with the change of its incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Nothing of this id is made twice.
    pub message_id: String,
    /// Of which incident.
    pub incident: String,
    /// As it then has to be stored.
    pub revision: u64,
    /// What of it.
    pub kind: NoticeKind,
    /// To which sink.
    pub sink: String,
    /// The notice, as JSON.
    pub notice: String,
}

impl IncidentChanges {
    fn is_full(&self) -> bool {
        self.added.len() + self.changed.len() + self.dropped.len() >= MAX_CHANGES
    }

    /// As which revision what changed has to be stored.
    fn revisions(&self) -> BTreeMap<&str, u64> {
        let changed = self.added.iter().chain(&self.changed);
        changed
            .map(|incident| (incident.id.as_str(), incident.revision))
            .collect()
    }

    /// What is to be sent to these sinks.
    ///
    /// # Errors
    /// A notice cannot be written as JSON, which none is.
    pub fn deliveries(&self, sinks: &[String]) -> Result<Vec<Delivery>, serde_json::Error> {
        let revisions = self.revisions();
        let mut deliveries = Vec::new();
        for notice in &self.notices {
            let text = serde_json::to_string(notice)?;
            for sink in sinks.iter().filter(|sink| notice.is_for(sink)) {
                deliveries.push(Delivery {
                    message_id: notice.message_id(sink),
                    incident: notice.incident.clone(),
                    revision: revisions
                        .get(notice.incident.as_str())
                        .copied()
                        .unwrap_or_default(),
                    kind: notice.kind,
                    sink: sink.clone(),
                    notice: text.clone(),
                });
            }
        }
        Ok(deliveries)
    }
}

/// What an owner may be told, for whoever knows which owners want to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnersNews {
    /// Whose bot it is about.
    pub user: String,
    /// Of which incident.
    pub incident: String,
    /// As it then has to be stored.
    pub revision: u64,
    /// What of it: that it began, or that it is over.
    pub kind: NoticeKind,
    /// The notice, as JSON.
    pub notice: String,
}

impl IncidentChanges {
    /// What is to be told to the owners of the bots it is about, and only of those.
    ///
    /// # Errors
    /// As [`IncidentChanges::deliveries`].
    pub fn owners_news(&self) -> Result<Vec<OwnersNews>, serde_json::Error> {
        let revisions = self.revisions();
        let news = |notice: &Notice| {
            Ok(OwnersNews {
                user: notice.subject.clone(),
                incident: notice.incident.clone(),
                revision: revisions
                    .get(notice.incident.as_str())
                    .copied()
                    .unwrap_or_default(),
                kind: notice.kind,
                notice: serde_json::to_string(notice)?,
            })
        };
        self.owners_notices.iter().map(news).collect()
    }
}

/// What admins decided.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// Thresholds and quiet hours.
    pub settings: &'a AlertSettings,
    /// What is muted.
    pub mutes: &'a [Mute],
}

/// What is to be told of an incident, to whom.
#[derive(Default)]
struct Told {
    admins: Option<Notice>,
    owner: Option<Notice>,
}

/// What was seen of an incident's cause.
enum Seen<'a> {
    Yes(&'a Sighting),
    No,
    /// Nobody knows: nothing changes.
    Unknown,
}

/// Judges the facts. `live` are all incidents that are not settled, `id` makes ids for new ones.
pub fn evaluate(
    facts: &Facts,
    live: Vec<Incident>,
    policy: Policy<'_>,
    now: u64,
    mut id: impl FnMut() -> String,
) -> IncidentChanges {
    let mut sightings: BTreeMap<(Rule, &str), &Sighting> = BTreeMap::new();
    for sighting in &facts.sightings {
        sightings
            .entry((sighting.rule, &sighting.subject))
            .or_insert(sighting);
    }
    let known: BTreeSet<(Rule, &str)> = live
        .iter()
        .filter(|incident| incident.closed_at.is_none())
        .map(|incident| (incident.rule, incident.subject.as_str()))
        .collect();
    let fresh: Vec<&Sighting> = sightings
        .iter()
        .filter(|(key, _)| !known.contains(*key))
        .map(|(_, sighting)| *sighting)
        .filter(|sighting| !facts.outages.iter().any(|outage| outage.covers(sighting)))
        .collect();
    let mut judged: Vec<(Incident, Option<Incident>)> = live
        .into_iter()
        .map(|incident| (incident.clone(), Some(incident)))
        .collect();
    for sighting in fresh {
        if !policy.settings.is_off(sighting.rule) {
            let began = sighting.since.map_or(now, |since| since.min(now));
            let mut new = Incident::waiting(id(), sighting.rule, sighting.subject.clone(), began);
            new.last_seen_at = now;
            new.detail.clone_from(&sighting.detail);
            judged.push((new, None));
        }
    }
    // What explains others comes first, being the worst: what it comes to now counts for them.
    judged.sort_by_key(|(incident, _)| incident.rule.rank());

    let mut changes = IncidentChanges::default();
    let mut causes: BTreeMap<Rule, (String, bool)> = BTreeMap::new();
    let mut outages = facts.outages.clone();
    for (mut incident, stored) in judged {
        if changes.is_full() {
            changes.left += 1;
            continue;
        }
        let seen = match policy.settings.is_off(incident.rule) {
            true => Seen::No,
            false => seen(facts, &sightings, &outages, &incident),
        };
        // One that is open explains it, whatever else may soon be.
        let explained_by = incident.rule.facts().explained_by.iter();
        let cause = explained_by
            .filter_map(|rule| causes.get(rule))
            .max_by_key(|(_, is_open)| *is_open);
        let keep = incident.advance(&seen, cause, policy.settings, now);
        if keep {
            let told = incident.tell(&seen, cause, policy, now);
            changes.notices.extend(told.admins);
            changes.owners_notices.extend(told.owner);
            // What nobody has known about for long explains nothing: what it would explain is told.
            let is_known = !matches!(seen, Seen::Unknown) || !incident.is_out_of_sight(now);
            if let Some(to) = incident.closed_at {
                let (rule, from) = (incident.rule, incident.first_seen_at);
                outages.push(Outage { rule, from, to });
            } else if is_known {
                causes.insert(incident.rule, (incident.id.clone(), incident.is_open()));
            }
        }
        match stored {
            None if keep => changes.added.push(incident),
            Some(_) if !keep => changes.dropped.push(incident),
            Some(stored) if stored != incident => {
                incident.revision += 1;
                changes.changed.push(incident);
            }
            _ => {}
        }
    }
    changes
}

fn seen<'a>(
    facts: &Facts,
    sightings: &BTreeMap<(Rule, &str), &'a Sighting>,
    outages: &[Outage],
    incident: &Incident,
) -> Seen<'a> {
    match sightings.get(&(incident.rule, incident.subject.as_str())) {
        // Nobody has looked since: its Sandbox sleeps, say, and says what it said then.
        Some(sighting) if outages.iter().any(|outage| outage.covers(sighting)) => Seen::Unknown,
        Some(sighting) => Seen::Yes(sighting),
        None if facts.is_unknown(incident.rule, &incident.subject) => Seen::Unknown,
        None => Seen::No,
    }
}

impl Incident {
    /// Opens and closes it; whether there still is one.
    fn advance(
        &mut self,
        seen: &Seen<'_>,
        cause: Option<&(String, bool)>,
        settings: &AlertSettings,
        now: u64,
    ) -> bool {
        if self.closed_at.is_some() {
            return true;
        }
        match seen {
            Seen::Yes(sighting) => self.sighted(sighting, now),
            Seen::No if self.opened_at.is_none() => return false,
            Seen::No => {
                let gone = *self.gone_since.get_or_insert(now);
                let off = settings.is_off(self.rule);
                if off || now.saturating_sub(gone) >= settings.closes_after_ms(self.rule) {
                    self.closed_at = Some(now);
                    self.closed_reason = Some(if off { SWITCHED_OFF } else { GONE }.to_owned());
                }
                return true;
            }
            Seen::Unknown => return self.opened_at.is_some() || !self.is_out_of_sight(now),
        }
        let held = now.saturating_sub(self.first_seen_at);
        if self.opened_at.is_none() && held >= settings.opens_after_ms(self.rule) {
            match cause {
                // Soon it is known whether that explains it.
                Some((_, false)) => {}
                Some((parent, true)) => {
                    self.parent = Some(parent.clone());
                    self.opened_at = Some(now);
                }
                None => self.opened_at = Some(now),
            }
        }
        true
    }

    fn is_out_of_sight(&self, now: u64) -> bool {
        now.saturating_sub(self.last_seen_at) > UNSEEN_MS
    }

    fn sighted(&mut self, sighting: &Sighting, now: u64) {
        let since = sighting.since.map(|since| since.min(now));
        if self.opened_at.is_none() {
            if self.is_out_of_sight(now) {
                self.first_seen_at = since.unwrap_or(now);
            }
            // Between two looks it was over and began again.
            if let Some(since) = since {
                self.first_seen_at = self.first_seen_at.max(since);
            }
        }
        if self.gone_since.take().is_some() {
            self.count = self.count.saturating_add(1);
            self.last_seen_at = now;
        }
        if now.saturating_sub(self.last_seen_at) >= SIGHTING_MS {
            self.last_seen_at = now;
        }
        if self.detail != sighting.detail {
            self.detail.clone_from(&sighting.detail);
        }
    }

    /// What is to be told of it now.
    fn tell(
        &mut self,
        seen: &Seen<'_>,
        cause: Option<&(String, bool)>,
        policy: Policy<'_>,
        now: u64,
    ) -> Told {
        let quiet = policy.settings.holds_back(self.rule.facts().severity, now);
        if self.closed_at.is_some() {
            // Whoever was told that it began is told that it is over, muted or not.
            let (admins, owner) = (self.told_at.is_some(), self.owner_told_at.is_some());
            if self.settled != 0 || ((admins || owner) && quiet) {
                return Told::default();
            }
            self.settled = 1;
            let over = Notice::of(NoticeKind::Recovered, self);
            return Told {
                admins: admins.then(|| over.clone()),
                owner: owner.then_some(over),
            };
        }
        if self.opened_at.is_none() || quiet || !matches!(seen, Seen::Yes(_)) {
            return Told::default();
        }
        let is_explained = cause.is_some_and(|(_, open)| *open) && self.parent.is_some();
        Told {
            owner: self.tell_owner(is_explained, now),
            // What admins mute they have decided about for themselves.
            admins: match policy.mutes.iter().any(|mute| mute.covers(self, now)) {
                true => None,
                false => self.tell_admins(is_explained, now),
            },
        }
    }

    /// That it began. That nobody has acknowledged it is none of their business.
    fn tell_owner(&mut self, is_explained: bool, now: u64) -> Option<Notice> {
        let is_of_bots = self.rule.facts().watches == Watches::Bots;
        if !is_of_bots || is_explained || self.owner_told_at.is_some() {
            return None;
        }
        self.owner_told_at = Some(now);
        Some(Notice::of(NoticeKind::Opened, self))
    }

    /// That it began, or that it goes on and nobody has acknowledged it.
    fn tell_admins(&mut self, is_explained: bool, now: u64) -> Option<Notice> {
        let Some(told_at) = self.told_at else {
            if is_explained {
                return None;
            }
            self.told_at = Some(now);
            return Some(Notice::of(NoticeKind::Opened, self));
        };
        let due = self.escalated_at.is_none()
            && self.acknowledged_at.is_none()
            && now.saturating_sub(told_at) >= ESCALATES_AFTER_MS;
        if !due {
            return None;
        }
        self.escalated_at = Some(now);
        Some(Notice::of(NoticeKind::Escalated, self))
    }
}
