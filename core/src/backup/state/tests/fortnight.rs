//! Two weeks of a bot's life: whatever its owner, its platform and chance do, no start is made on a state the owner did
//! not end with unless the history says why and offers the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::backup::retention::{HeldSnapshots, forgettable};
use crate::backup::schedule::{Schedule, SnapshotRules};
use crate::backup::suspicion::{Content, Deletions, loss};
use crate::wire::control::Lost;
use proptest::prelude::*;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * HOUR;
const STATE: &str = ".openclaw/state/openclaw.sqlite";

/// What happens in a life.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Write,
    MakeDatabase,
    DeleteDatabase,
    CleanUp,
    DeleteAll,
    /// The gateway deletes a temporary file.
    Tidy,
    /// A defect of the platform's destroys the gateway's state, or empties the home.
    LoseState,
    LoseHome,
    Sleep,
    /// The container is lost, and started again.
    Kill,
    Upgrade,
    /// The owner wants back what was passed over, or keeps what there is.
    GoBack,
    Keep,
    Rest,
}

fn deed() -> impl Strategy<Value = (u64, Deed)> {
    let common = prop::sample::select(vec![
        Deed::Write,
        Deed::MakeDatabase,
        Deed::DeleteDatabase,
        Deed::CleanUp,
        Deed::Tidy,
        Deed::Sleep,
        Deed::Kill,
        Deed::Rest,
    ]);
    let rare = prop::sample::select(vec![
        Deed::DeleteAll,
        Deed::LoseState,
        Deed::LoseHome,
        Deed::Upgrade,
        Deed::GoBack,
        Deed::Keep,
    ]);
    let minutes = prop_oneof![4 => 1_u64..5, 2 => 5_u64..120, 1 => 120_u64..900];
    (minutes, prop_oneof![3 => common, 1 => rare])
}

/// A home: what is compared of it, and which of all the states it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    content: Content,
    version: u32,
}

/// A bot with its repository.
struct Life {
    now: u64,
    versions: u32,
    home: Home,
    deletions: Deletions,
    base: Option<SnapshotId>,
    repository: BTreeMap<SnapshotId, (Snapshot, Home)>,
    held: BTreeMap<SnapshotId, u64>,
    schedule: Schedule,
    backup: BackupStatus,
    state: BackupState,
    run: Run,
    /// What the owner left. What the platform destroyed they did not end with.
    ended_with: Home,
    events: Vec<(HistoryKind, Option<String>)>,
    undecided: BTreeSet<SnapshotId>,
    /// Whether the platform has destroyed something since the last start.
    is_damaged: bool,
}

impl Life {
    fn begin() -> Self {
        let content = Content {
            files: 1_000,
            disk_bytes: 1 << 30,
            databases: BTreeSet::from([STATE.to_owned()]),
        };
        let home = Home { content, version: 0 };
        let mut life = Self {
            now: 1_790_000_000_000,
            versions: 0,
            ended_with: home.clone(),
            home,
            deletions: watched(),
            base: None,
            repository: BTreeMap::new(),
            held: BTreeMap::new(),
            schedule: Schedule::new(SnapshotRules::default()),
            backup: at_rest(),
            state: BackupState::default(),
            run: R1,
            events: Vec::new(),
            undecided: BTreeSet::new(),
            is_damaged: false,
        };
        life.schedule.changed(life.clock());
        life.pass(MINUTE);
        life
    }

    fn clock(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    fn at(&self) -> i64 {
        i64::try_from(self.now).unwrap()
    }

    fn change(&mut self, by_owner: bool, change: impl FnOnce(&mut Content)) {
        let before = self.home.content.clone();
        change(&mut self.home.content);
        if !by_owner && self.home.content == before {
            return;
        }
        self.versions += 1;
        let files = before.files;
        self.home.version = self.versions;
        self.is_damaged |= !by_owner;
        if by_owner {
            self.deletions.entries += files.saturating_sub(self.home.content.files);
            self.ended_with = self.home.clone();
        }
        self.schedule.changed(self.clock());
    }

    /// Time passes, and what is due is done.
    fn pass(&mut self, for_ms: u64) {
        let until = self.now + for_ms;
        while let Some(due) = self.schedule.due() {
            let due = u64::try_from(due.as_millis()).unwrap().max(self.now);
            if due > until {
                break;
            }
            self.now = due;
            let job = self.schedule.begin(self.clock()).unwrap();
            self.take(job.reason, false);
            self.schedule.over(self.clock(), 0.5, true);
            self.look();
        }
        self.now = until;
        self.look();
        if self.now % DAY < for_ms {
            self.maintain();
        }
    }

    fn take(&mut self, reason: SnapshotReason, accept: bool) {
        let named = |id: &SnapshotId| self.repository.get(id).map(|(_, home)| &home.content);
        let before = self.base.as_ref().filter(|_| !accept).and_then(named);
        let lost =
            before.and_then(|before| loss(before, &self.home.content, &BTreeSet::new(), &self.deletions));
        let newest = self
            .repository
            .values()
            .max_by_key(|(snapshot, _)| snapshot.taken_at);
        if newest.is_some_and(|(snapshot, home)| *home == self.home && snapshot.suspicious.is_none())
            && !accept
        {
            return;
        }
        // One moment later than whatever there is.
        self.now += 1;
        let id: SnapshotId = format!("{:064x}", self.now).parse().unwrap();
        let mut taken = snapshot('0', self.at());
        taken.id = id.clone();
        taken.reason = Some(reason);
        if let Some(lost) = lost {
            taken.suspicious = lost.is_suspicious.then(|| lost.what.clone());
            let before = self.base.clone().unwrap();
            taken.lost = Some(Lost {
                what: lost.what,
                before,
            });
        }
        if taken.suspicious.is_none() {
            self.base = Some(id.clone());
            self.deletions = watched();
        }
        self.repository.insert(id, (taken.clone(), self.home.clone()));
        self.backup.taken.push(taken);
        let many = self.backup.taken.len().saturating_sub(10);
        self.backup.taken.drain(..many);
    }

    /// As the Sandbox does.
    fn look(&mut self) {
        self.backup.changed = self.schedule.has_changed();
        let status = status(self.run, self.backup.clone());
        let changes = self.state.observe(self.now, self.run, &status);
        self.events.extend(changes.history_events);
        for id in changes.held {
            self.undecided.insert(id.clone());
            self.held.entry(id).or_insert(self.now + HELD_FOR_MS);
        }
        if let Some(job @ BackupJob::Restore(_)) = self.state.due_job(self.now, self.run, &status) {
            self.state.mark_ordered(self.now, self.run, &status, &job);
            let BackupJob::Restore(point) = job else { return };
            self.take(SnapshotReason::BeforeRestore, false);
            self.restore(&point);
            self.look();
        }
    }

    fn maintain(&mut self) {
        let now = self.now;
        self.held.retain(|_, until| *until > now);
        let pinned: Vec<SnapshotId> = self.held.keys().cloned().collect();
        let all: Vec<Snapshot> = self
            .repository
            .values()
            .map(|(snapshot, _)| snapshot.clone())
            .collect();
        let held = HeldSnapshots {
            pinned: &pinned,
            verified: self.state.verified(),
        };
        for id in forgettable(&all, held, self.at()) {
            assert!(!self.undecided.contains(&id), "{id} waits for a decision");
            self.repository.remove(&id);
        }
    }

    fn restore(&mut self, point: &RestorePoint) {
        let mut newest_first: Vec<&Snapshot> = self.repository.values().map(|(one, _)| one).collect();
        newest_first.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken_at));
        let is_it = |snapshot: &&Snapshot| match point {
            RestorePoint::Latest => snapshot.suspicious.is_none(),
            RestorePoint::Snapshot(id) => snapshot.id == *id,
        };
        let found = newest_first.iter().position(is_it).unwrap();
        let chosen = newest_first[found].id.clone();
        let mut report = report(None, self.at());
        report.snapshot = Some(chosen.clone());
        if *point == RestorePoint::Latest {
            report.passed_over = newest_first[..found].iter().map(|one| one.id.clone()).collect();
            report.passed_over_for = newest_first.first().and_then(|one| one.suspicious.clone());
        }
        self.home = self.repository[&chosen].1.clone();
        self.base = Some(chosen);
        self.deletions = watched();
        self.backup.restored = Some(report);
        self.schedule.changed(self.clock());
    }

    /// The container ends, and another begins.
    fn start(&mut self, ends_well: bool, reason: SnapshotReason) {
        let ended_with = self.ended_with.clone();
        let had = self.home.clone();
        let told_from = self.events.len();
        if ends_well {
            self.take(SnapshotReason::Stop, false);
        }
        let stored: Vec<StoredSnapshot> = self
            .repository
            .values()
            .map(|(snapshot, _)| StoredSnapshot {
                id: snapshot.id.clone(),
                stored_at: u64::try_from(snapshot.taken_at).unwrap(),
                suspicious: snapshot.suspicious.clone(),
            })
            .collect();
        let how = if ends_well { Ended::Saved } else { Ended::Broken };
        let lost = self.state.ended(self.now, self.run, how, &stored);
        self.events.extend(lost);
        self.run = self.run.next();
        self.now += MINUTE / 2;
        let ordered = self.state.summary().restore_wanted.is_some();
        let point = self.state.restore_point_for(self.now, self.run, &stored).unwrap();
        self.schedule = Schedule::new(SnapshotRules::default());
        self.backup = at_rest();
        self.restore(&point);
        if reason == SnapshotReason::BeforeUpgrade {
            let mut marked = self.repository[self.base.as_ref().unwrap()].clone();
            self.now += 1;
            marked.0.id = format!("{:064x}", self.now).parse().unwrap();
            (marked.0.taken_at, marked.0.reason) = (self.at(), Some(reason));
            if marked.0.suspicious.is_none() {
                self.repository.insert(marked.0.id.clone(), marked);
            }
        }
        self.look();

        let told =
            |kind: HistoryKind, life: &Self| life.events[told_from..].iter().any(|(told, _)| *told == kind);
        let is_damaged = std::mem::take(&mut self.is_damaged);
        assert!(
            is_damaged
                || ordered
                || self
                    .state
                    .choice()
                    .is_none_or(|choice| choice.since < self.now - MINUTE),
            "what an owner did is never passed over: {:?}",
            &self.events[told_from..]
        );
        if self.home == ended_with || ordered {
            self.ended_with = self.home.clone();
            return;
        }
        let summary = self.state.summary();
        let passed = summary.passed_over.first();
        let reaches = |id: &SnapshotId| self.repository.get(id).is_some_and(|(_, home)| *home == had);
        let is_told = told(HistoryKind::ChangesLost, self)
            // Passed over now, and within reach.
            || (told(HistoryKind::PassedOver, self) && summary.choice.is_some())
            // Passed over before, and somebody said that it may be.
            || (passed.is_some() && summary.choice.is_none())
            // What the platform lost while the owner deleted things is told with the snapshot that has it.
            || self.loss_is_told();
        let said = &self.events[told_from..];
        let taken: Vec<_> = self.repository.values().rev().take(4).collect();
        assert!(
            is_told,
            "{:?} ended with {ended_with:?}, begins with {:?}: {said:?}, {taken:?}",
            self.run, self.home
        );
        if ends_well && told(HistoryKind::PassedOver, self) {
            let choice = summary.choice.unwrap();
            assert!(choice.snapshots.first().is_some_and(reaches), "{choice:?}");
        }
        self.ended_with = self.home.clone();
    }

    /// Whether the snapshot the home is made from, or one of its run, says what it lacks and what has that.
    fn loss_is_told(&self) -> bool {
        let base = self.base.as_ref().unwrap();
        let taken = self.repository.range(..=base).rev().take(10);
        let mut lost = taken.filter_map(|(_, (snapshot, _))| snapshot.lost.as_ref());
        lost.any(|lost| self.repository.contains_key(&lost.before))
            && self
                .events
                .iter()
                .any(|(kind, _)| *kind == HistoryKind::ContentGone)
    }

    fn does(&mut self, deed: Deed) {
        let own = |home: &Home| home.content.databases.iter().find(|name| *name != STATE).cloned();
        match deed {
            Deed::Write => self.change(true, |home| {
                home.files += 50;
                home.disk_bytes += 20_000_000;
            }),
            Deed::MakeDatabase => {
                let name = format!("app-{}.sqlite", self.versions);
                self.change(true, |home| {
                    home.databases.insert(name);
                    home.files += 1;
                });
            }
            Deed::DeleteDatabase => {
                let name = own(&self.home);
                self.change(true, |home| {
                    if let Some(name) = name {
                        home.databases.remove(&name);
                        home.files = home.files.saturating_sub(1);
                    }
                });
            }
            Deed::CleanUp => self.change(true, |home| {
                home.files -= home.files / 2;
                home.disk_bytes /= 3;
            }),
            Deed::DeleteAll => self.change(true, |home| {
                home.files = 1;
                home.disk_bytes = 4_096;
                home.databases.retain(|name| name == STATE);
            }),
            Deed::Tidy => {
                self.deletions.entries += 1;
                self.change(true, |_| {});
            }
            Deed::LoseState => self.change(false, |home| {
                home.databases.remove(STATE);
            }),
            Deed::LoseHome => self.change(false, |home| {
                home.files = 0;
                home.disk_bytes = 0;
                home.databases.clear();
            }),
            Deed::Sleep => self.start(true, SnapshotReason::Stop),
            Deed::Kill => self.start(false, SnapshotReason::Stop),
            Deed::Upgrade => self.start(true, SnapshotReason::BeforeUpgrade),
            Deed::GoBack => {
                if let Some(choice) = self.state.summary().choice {
                    let wanted = choice.snapshots[0].clone();
                    let home = self.repository[&wanted].1.clone();
                    self.undecided.clear();
                    self.state
                        .set_ordered_restore(self.now, RestorePoint::Snapshot(wanted));
                    self.look();
                    assert_eq!(self.home, home, "one step");
                    self.ended_with = self.home.clone();
                }
            }
            Deed::Keep => {
                if self.state.decide(self.now) {
                    self.undecided.clear();
                }
            }
            Deed::Rest => {}
        }
    }
}

/// Nothing was deleted, and all was watched.
fn watched() -> Deletions {
    Deletions {
        is_complete: true,
        ..Deletions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_start_takes_back_what_an_owner_did_without_a_word(deeds in prop::collection::vec(deed(), 400)) {
        let mut life = Life::begin();
        let begun = life.now;
        for (minutes, deed) in deeds.into_iter().cycle() {
            life.does(deed);
            life.pass(minutes * MINUTE);
            if life.now - begun > 14 * DAY {
                break;
            }
        }
    }
}
