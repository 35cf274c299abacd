//! Incidents: what is wrong with a bot, from when it was first seen until it is over. Whoever sees it again and again
//! learns from here whether that is news, so that it is written down, and later alerted, once.
//!
//! Pure, and stored within the records that know of them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use super::history::truncate_detail;

/// Incidents that are remembered; of those that are over, the oldest are forgotten first.
pub const MAX_INCIDENTS: usize = 32;
/// What is seen again sooner than this is the same sighting: a bot that starts is asked four times a second, and each
/// change is written to the disk.
pub const SIGHTING_MS: u64 = 5_000;

/// What is wrong. One of a kind is open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum IncidentKind {
    /// Changes wait for a snapshot longer than they should.
    BackupOverdue,
    /// Snapshots fail, several in a row; the detail says why.
    BackupFailing,
    /// The home cannot be made from a snapshot; the detail says why.
    RestoreFailing,
    /// Maintenance could not be done; the detail says why.
    MaintenanceFailing,
    /// A snapshot lost more than it should have; the detail is its id.
    SnapshotSuspicious,
    /// A start passed over a newer snapshot, and nobody has decided about it; the detail is its id.
    PassedOver,
    /// Databases can only be stored as the files they are; the detail says which, and why.
    DatabaseNotCopied,
    /// Maintenance found the repository damaged; the detail says what it found.
    RepositoryDamaged,
    /// A restore into scratch failed, as a drill; the detail says how.
    DrillFailing,
    /// Its gateway ran out of memory twice within a day.
    OutOfMemory,
    /// The bot could not wake: all slots were taken.
    NoCapacity,
    /// Four fifths of what the bot may cost in a month are spent.
    SpendNearLimit,
    /// All of it is spent, and the bot sleeps.
    SpendOverLimit,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

impl IncidentKind {
    /// Every kind this version knows.
    pub const ALL: [Self; 13] = [
        Self::BackupOverdue,
        Self::BackupFailing,
        Self::RestoreFailing,
        Self::MaintenanceFailing,
        Self::SnapshotSuspicious,
        Self::PassedOver,
        Self::DatabaseNotCopied,
        Self::RepositoryDamaged,
        Self::DrillFailing,
        Self::OutOfMemory,
        Self::NoCapacity,
        Self::SpendNearLimit,
        Self::SpendOverLimit,
    ];

    /// Its text in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackupOverdue => "backup-overdue",
            Self::BackupFailing => "backup-failing",
            Self::RestoreFailing => "restore-failing",
            Self::MaintenanceFailing => "maintenance-failing",
            Self::SnapshotSuspicious => "snapshot-suspicious",
            Self::PassedOver => "passed-over",
            Self::DatabaseNotCopied => "database-not-copied",
            Self::RepositoryDamaged => "repository-damaged",
            Self::DrillFailing => "drill-failing",
            Self::OutOfMemory => "out-of-memory",
            Self::NoCapacity => "no-capacity",
            Self::SpendNearLimit => "spend-near-limit",
            Self::SpendOverLimit => "spend-over-limit",
            Self::Unknown => "unknown",
        }
    }

    /// One that nobody sees the end of is over when it was not seen for so long: whoever wants to wake a bot may give up
    /// long before there is a slot.
    fn lapses_after_ms(self) -> Option<u64> {
        match self {
            Self::NoCapacity => Some(10 * 60 * 1_000),
            // Not twice within a day any more.
            Self::OutOfMemory => Some(24 * 60 * 60 * 1_000),
            _ => None,
        }
    }
}

/// What is wrong with a bot, from when it was first seen until it was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotIncident {
    /// What is wrong.
    pub kind: IncidentKind,
    /// When it was first seen.
    pub opened_at: u64,
    /// When it was last seen.
    pub last_seen_at: u64,
    /// How often it was seen.
    pub count: u32,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<u64>,
    /// What there is to say about it, as it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl BotIncident {
    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    fn lapses_at(&self) -> Option<u64> {
        let after = self.kind.lapses_after_ms().filter(|_| self.is_open())?;
        Some(self.last_seen_at.saturating_add(after))
    }
}

/// What seeing something wrong means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// It is news.
    Opened,
    /// It was known.
    Ongoing {
        /// It has another detail than when it was last seen.
        changed: bool,
    },
}

impl Observation {
    /// Whether it was not known.
    pub fn is_opened(self) -> bool {
        self == Self::Opened
    }

    /// Whether it was not known, or not in these words.
    pub fn is_opened_or_changed(self) -> bool {
        self != Self::Ongoing { changed: false }
    }
}

/// The incidents of one bot, in the order they were opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incidents(Vec<BotIncident>);

impl Incidents {
    /// Something wrong was seen.
    pub fn observe(&mut self, now: u64, kind: IncidentKind, detail: Option<&str>) -> Observation {
        self.close_lapsed(now);
        let detail = detail.map(truncate_detail);
        if let Some(open) = self.open_mut(kind) {
            let changed = open.detail != detail;
            if changed || now.saturating_sub(open.last_seen_at) >= SIGHTING_MS {
                open.detail = detail;
                open.last_seen_at = open.last_seen_at.max(now);
                open.count = open.count.saturating_add(1);
            }
            return Observation::Ongoing { changed };
        }
        self.insert(BotIncident {
            kind,
            opened_at: now,
            last_seen_at: now,
            count: 1,
            closed_at: None,
            detail,
        });
        Observation::Opened
    }

    /// Nothing of this kind is wrong any more; the incident that ended with that.
    pub fn close(&mut self, now: u64, kind: IncidentKind) -> Option<BotIncident> {
        let open = self.open_mut(kind)?;
        open.closed_at = Some(now.max(open.last_seen_at));
        Some(open.clone())
    }

    /// Closes what nobody has seen for so long that it is over; it was over when it was last seen.
    pub fn close_lapsed(&mut self, now: u64) {
        for incident in &mut self.0 {
            if incident.lapses_at().is_some_and(|at| at <= now) {
                incident.closed_at = Some(incident.last_seen_at);
            }
        }
    }

    /// When the next one is over unless it is seen before: somebody has to look then.
    pub fn next_lapse(&self) -> Option<u64> {
        self.0.iter().filter_map(BotIncident::lapses_at).min()
    }

    /// The incident of this kind that goes on.
    pub fn open(&self, kind: IncidentKind) -> Option<&BotIncident> {
        self.last(kind).filter(|incident| incident.is_open())
    }

    /// Whether one of this kind goes on.
    pub fn is_open(&self, kind: IncidentKind) -> bool {
        self.open(kind).is_some()
    }

    /// The last one of this kind, over or not.
    pub fn last(&self, kind: IncidentKind) -> Option<&BotIncident> {
        self.0.iter().rev().find(|incident| incident.kind == kind)
    }

    /// All of them, in the order they were opened.
    pub fn iter(&self) -> impl Iterator<Item = &BotIncident> {
        self.0.iter()
    }

    /// The kinds of those that go on.
    pub fn open_kinds(&self) -> impl Iterator<Item = IncidentKind> {
        self.0
            .iter()
            .filter(|incident| incident.is_open())
            .map(|incident| incident.kind)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn open_mut(&mut self, kind: IncidentKind) -> Option<&mut BotIncident> {
        let last = self.0.iter_mut().rev().find(|incident| incident.kind == kind);
        last.filter(|incident| incident.is_open())
    }

    /// Adds one; what was over first makes way. There are far fewer kinds than places, so that the open ones fit.
    fn insert(&mut self, incident: BotIncident) {
        if self.0.len() >= MAX_INCIDENTS
            && let Some(over) = self.0.iter().position(|incident| !incident.is_open())
        {
            self.0.remove(over);
        }
        self.0.push(incident);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::history::MAX_DETAIL;
    use proptest::prelude::*;

    use IncidentKind::{BackupFailing, BackupOverdue, NoCapacity, RestoreFailing};

    #[test]
    fn an_incident_is_opened_once_and_closed_once() {
        let mut incidents = Incidents::default();
        assert_eq!(incidents.close(0, BackupOverdue), None);
        assert!(incidents.observe(10, BackupOverdue, None).is_opened());
        let ongoing = incidents.observe(10 + SIGHTING_MS, BackupOverdue, None);
        assert!(!ongoing.is_opened_or_changed(), "{ongoing:?}");
        let closed = BotIncident {
            kind: BackupOverdue,
            opened_at: 10,
            last_seen_at: 10 + SIGHTING_MS,
            count: 2,
            closed_at: Some(30 + SIGHTING_MS),
            detail: None,
        };
        assert_eq!(
            incidents.close(30 + SIGHTING_MS, BackupOverdue),
            Some(closed.clone())
        );
        assert_eq!(incidents.close(31 + SIGHTING_MS, BackupOverdue), None, "once");
        assert!(!incidents.is_open(BackupOverdue));
        assert_eq!(incidents.last(BackupOverdue), Some(&closed));
        assert!(
            incidents
                .observe(40 + SIGHTING_MS, BackupOverdue, None)
                .is_opened()
        );
        assert_eq!(incidents.iter().count(), 2);
    }

    #[test]
    fn kinds_do_not_disturb_one_another() {
        let mut incidents = Incidents::default();
        assert!(incidents.observe(1, BackupFailing, Some("500")).is_opened());
        assert!(incidents.observe(2, RestoreFailing, Some("500")).is_opened());
        assert!(!incidents.observe(3, BackupFailing, Some("500")).is_opened());
        assert!(incidents.close(4, RestoreFailing).is_some());
        assert!(incidents.is_open(BackupFailing));
    }

    #[test]
    fn another_detail_is_noticed_and_is_the_same_incident() {
        let mut incidents = Incidents::default();
        let mut see = |now, detail| incidents.observe(now, BackupFailing, Some(detail));
        assert_eq!(see(1, "500"), Observation::Opened);
        assert_eq!(see(2, "500"), Observation::Ongoing { changed: false });
        assert_eq!(see(3, "503"), Observation::Ongoing { changed: true });
        assert_eq!(see(4, "503"), Observation::Ongoing { changed: false });
        let long = "x".repeat(MAX_DETAIL * 2);
        assert_eq!(see(5, &long), Observation::Ongoing { changed: true });
        assert_eq!(see(6, &long), Observation::Ongoing { changed: false });
        let open = incidents.open(BackupFailing).unwrap();
        assert_eq!((open.opened_at, open.last_seen_at, open.count), (1, 5, 3));
        assert_eq!(open.detail.as_ref().unwrap().len(), MAX_DETAIL);
    }

    #[test]
    fn frequent_sightings_change_nothing() {
        let mut incidents = Incidents::default();
        incidents.observe(0, RestoreFailing, None);
        let before = incidents.clone();
        incidents.observe(SIGHTING_MS - 1, RestoreFailing, None);
        assert_eq!(incidents, before);
        incidents.observe(SIGHTING_MS, RestoreFailing, None);
        assert_eq!(incidents.open(RestoreFailing).unwrap().count, 2);
    }

    #[test]
    fn a_lack_of_slots_is_over_when_nobody_asks_for_one() {
        let lapse = NoCapacity.lapses_after_ms().unwrap();
        let mut incidents = Incidents::default();
        let mut now = 1;
        assert!(incidents.observe(now, NoCapacity, None).is_opened());
        for _ in 0..3 {
            now += lapse - 1;
            assert!(!incidents.observe(now, NoCapacity, None).is_opened());
        }
        assert!(incidents.observe(now + lapse, NoCapacity, None).is_opened());
        let all: Vec<_> = incidents
            .iter()
            .map(|one| (one.opened_at, one.closed_at))
            .collect();
        assert_eq!(all, [(1, Some(now)), (now + lapse, None)]);
    }

    #[test]
    fn an_unseen_lack_of_slots_says_when_it_is_over() {
        let lapse = NoCapacity.lapses_after_ms().unwrap();
        let mut incidents = Incidents::default();
        assert_eq!(incidents.next_lapse(), None);
        incidents.observe(1, BackupFailing, None);
        assert_eq!(incidents.next_lapse(), None, "its end is seen");
        incidents.observe(2, NoCapacity, None);
        assert_eq!(incidents.next_lapse(), Some(2 + lapse));
        incidents.observe(2 + SIGHTING_MS, NoCapacity, None);
        let at = 2 + SIGHTING_MS + lapse;
        assert_eq!(incidents.next_lapse(), Some(at));
        incidents.close_lapsed(at - 1);
        assert!(incidents.is_open(NoCapacity));
        incidents.close_lapsed(at);
        let last = incidents.last(NoCapacity).unwrap();
        assert_eq!(last.closed_at, Some(2 + SIGHTING_MS));
        assert!(incidents.is_open(BackupFailing));
        assert_eq!(incidents.next_lapse(), None);
    }

    #[test]
    fn kind_names_match_their_serialized_form() {
        for kind in IncidentKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn the_stored_form_is_fixed_and_a_newer_kind_is_read() {
        let mut incidents = Incidents::default();
        incidents.observe(7, BackupFailing, Some("it answers 500"));
        let text = r#"[{"kind":"backup-failing","opened_at":7,"last_seen_at":7,"count":1,"detail":"it answers 500"}]"#;
        assert_eq!(serde_json::to_string(&incidents).unwrap(), text);
        assert_eq!(serde_json::from_str::<Incidents>(text).unwrap(), incidents);
        let newer = text.replace("backup-failing", "bored");
        let newer: Incidents = serde_json::from_str(&newer).unwrap();
        assert!(newer.is_open(IncidentKind::Unknown));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Observe(IncidentKind, Option<&'static str>),
        Close(IncidentKind),
    }

    fn step() -> impl Strategy<Value = Step> {
        let kind = || prop::sample::select(IncidentKind::ALL.to_vec());
        let detail = prop::sample::select(vec![None, Some("a"), Some("b")]);
        prop_oneof![
            3 => (kind(), detail).prop_map(|(kind, detail)| Step::Observe(kind, detail)),
            2 => kind().prop_map(Step::Close),
        ]
    }

    proptest! {
        /// Whatever happens: the size is bounded, at most one of a kind is open and none that is open is forgotten; one
        /// that was opened is closed before the next is opened; and what is stored is read back.
        #[test]
        fn incidents_stay_in_order(steps in prop::collection::vec((0_u64..20 * 60_000, step()), 1..300)) {
            let mut incidents = Incidents::default();
            let mut open = std::collections::HashSet::new();
            let mut now = 0;
            for (passed, step) in steps {
                now += passed;
                incidents.close_lapsed(now);
                open.retain(|kind| incidents.is_open(*kind));
                match step {
                    Step::Observe(kind, detail) => {
                        let observed = incidents.observe(now, kind, detail);
                        let was_open = !open.insert(kind);
                        prop_assert_eq!(observed.is_opened(), !was_open);
                        prop_assert_eq!(incidents.open(kind).unwrap().detail.as_deref(), detail);
                    }
                    Step::Close(kind) => {
                        let closed = incidents.close(now, kind);
                        prop_assert_eq!(closed.is_some(), open.remove(&kind));
                        prop_assert!(closed.is_none_or(|closed| closed.closed_at == Some(now)));
                    }
                }
                prop_assert!(incidents.iter().count() <= MAX_INCIDENTS);
                for kind in IncidentKind::ALL {
                    let of_kind = incidents.iter().filter(|one| one.kind == kind && one.is_open()).count();
                    prop_assert_eq!(of_kind, usize::from(open.contains(&kind)));
                }
                for one in incidents.iter() {
                    prop_assert!(one.opened_at <= one.last_seen_at && one.count > 0);
                    prop_assert!(one.closed_at.is_none_or(|at| at >= one.last_seen_at));
                }
            }
            let text = serde_json::to_string(&incidents).unwrap();
            prop_assert_eq!(serde_json::from_str::<Incidents>(&text).unwrap(), incidents);
        }
    }
}
