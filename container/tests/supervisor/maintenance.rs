//! Maintenance: what policy does not keep goes, what must stay stays, and nothing goes from a repository that is not
//! sound.

use std::collections::BTreeSet;

use moltworker_core::wire::control::{MaintenanceReport, Snapshot};
use moltworker_core::wire::job::JobKind;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::kept::{ON_DEMAND, failure, is_ready, lose, own, post, settled, snapshot, start, until_settled};
use crate::repository::{APPEND, Fault, MAINTAIN, Repository, What};
use crate::tree::{assert_same, furnish, listed, noise};

/// When the old snapshots were taken: policy keeps none of them.
const OLD: [&str; 4] = [
    "2020-01-01 00:00:00",
    "2020-02-01 00:00:00",
    "2020-03-01 00:00:00",
    "2020-04-01 00:00:00",
];
/// What each of them holds: files of so many bytes, by the seed of their noise. Of the first one's
/// one pack a third is needed without it, little enough to be written anew; the last has a half of its own.
const FILES: [&[(std::ops::Range<u64>, usize)]; 4] = [
    &[(0..6, 100_000)],
    &[(4..6, 100_000), (100..116, 100_000)],
    &[(200..216, 100_000)],
    &[(208..224, 100_000)],
];
/// So many fixtures are waited for at the same time.
const SIDE_BY_SIDE: usize = 4;
/// What is nobody's any more without the first and the last.
const GONE: usize = 4 * 100_000 + 8 * 100_000;

/// A bot with a furnished home, its last snapshot, and older ones.
pub(crate) struct Old {
    pub(crate) repository: Repository,
    pub(crate) fixture: Fixture,
    pub(crate) newest: Snapshot,
    /// The packs of the newest one, the largest first.
    pub(crate) packs: Vec<String>,
    /// The packs that only older ones need, the largest first.
    pub(crate) old_packs: Vec<String>,
    /// Oldest first, as [`OLD`].
    pub(crate) ids: Vec<String>,
    /// What each of them holds, in the same order.
    pub(crate) sources: Vec<tempfile::TempDir>,
}

pub(crate) fn old() -> Old {
    let repository = Repository::start();
    let fixture = settled(&repository);
    let mut sources = Vec::new();
    let before = repository.objects();
    for (files, time) in FILES.iter().zip(OLD) {
        let source = tempfile::tempdir().unwrap();
        for (seeds, length) in *files {
            for seed in seeds.clone() {
                std::fs::write(source.path().join(seed.to_string()), noise(1_000 + seed, *length)).unwrap();
            }
        }
        let path = source.path().to_str().unwrap();
        repository.restic(&["backup", "--host", "moltbot", "--time", time, path]);
        sources.push(source);
    }
    let old_packs = repository.packs_since(&before);
    furnish(&fixture.home);
    let before = repository.objects();
    let newest = snapshot(&fixture);
    let packs = repository.packs_since(&before);
    let ids = ids(&repository);
    Old {
        ids: ids.into_iter().take(OLD.len()).collect(),
        repository,
        fixture,
        newest,
        packs,
        old_packs,
        sources,
    }
}

/// All snapshots as stock restic sees them, oldest first.
pub(crate) fn ids(repository: &Repository) -> Vec<String> {
    let all: Value = serde_json::from_str(&repository.restic(&["snapshots", "--json"])).unwrap();
    let all = all.as_array().unwrap().iter();
    let mut all: Vec<_> = all
        .map(|one| (one["time"].as_str(), one["id"].as_str()))
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(_, id)| id.unwrap().to_owned()).collect()
}

/// Maintains the repository and waits for the report.
pub(crate) fn maintain(fixture: &Fixture, order: Value) -> MaintenanceReport {
    let last = |fixture: &Fixture| fixture.status().backup.unwrap().maintained;
    let before = last(fixture);
    let order = with_token(order, MAINTAIN);
    assert_eq!(post(fixture, "/v1/maintain", &order).status, 202);
    fixture.wait_for("maintenance is over", || {
        last(fixture).filter(|report| before.as_ref() != Some(report))
    })
}

pub(crate) fn with_token(mut order: Value, token: &str) -> String {
    order["token"] = token.into();
    order.to_string()
}

fn texts(ids: &[moltworker_core::wire::run::SnapshotId]) -> BTreeSet<&str> {
    ids.iter().map(|id| id.as_str()).collect()
}

#[test]
fn maintenance_deletes_only_what_retention_does_not_keep() {
    let Old {
        repository,
        fixture,
        newest,
        ids: old,
        sources,
        ..
    } = old();
    let all = ids(&repository);
    let bytes = repository.bytes();
    let order = json!({"pinned": [old[1]], "verified": old[2], "drill": true});
    let report = maintain(&fixture, order.clone());
    assert_eq!(report.problems, [""; 0]);
    let forgotten = BTreeSet::from([old[0].as_str(), old[3].as_str()]);
    assert_eq!(texts(&report.forgotten), forgotten);
    let left: Vec<_> = all
        .iter()
        .filter(|id| !forgotten.contains(id.as_str()))
        .cloned()
        .collect();
    assert_eq!(ids(&repository), left);
    assert_eq!(usize::try_from(report.kept).unwrap(), left.len());
    assert!(report.checked_bytes > 3_000_000, "{report:?}");
    assert!(
        bytes - repository.bytes() > GONE * 9 / 10,
        "{}",
        repository.bytes()
    );
    assert!(report.pruned_bytes > u64::try_from(GONE).unwrap() * 9 / 10);

    let drill = report.drill.unwrap();
    assert_eq!(
        (drill.snapshot, drill.amount, drill.mismatches),
        (Some(newest.id.clone()), newest.amount, 0)
    );
    assert!(!fixture.home.with_file_name(".moltbot.scratch").exists());
    repository.restic(&["check", "--read-data"]);
    for (id, source) in [(&old[1], &sources[1]), (&old[2], &sources[2])] {
        let (target, _) = repository.restored(id);
        let path = source.path().strip_prefix("/").unwrap();
        assert_same(&listed(&target.path().join(path)), &listed(source.path()));
    }

    // Once more there is nothing to do, and the bot goes on.
    let report = maintain(&fixture, order);
    assert_eq!((report.forgotten.len(), report.problems.len()), (0, 0));
    std::fs::write(fixture.home.join("later"), "still saved").unwrap();
    let later = snapshot(&fixture);
    let expected = own(&fixture);
    lose(fixture);
    let fixture = start(&repository, &ON_DEMAND);
    let status = fixture.until("it is ready", is_ready);
    assert_eq!(status.backup.unwrap().restored.unwrap().snapshot, Some(later.id));
    assert_same(&own(&fixture), &expected);
}

#[test]
fn snapshot_age_is_measured_by_the_order_not_the_local_clock() {
    let Old {
        repository,
        fixture,
        ids: old,
        ..
    } = old();
    // 2020-04-01 12:00: three months after the first, two months after the second.
    let report = maintain(&fixture, json!({"now": 1_585_742_400_000_i64}));
    assert_eq!(texts(&report.forgotten), BTreeSet::from([old[0].as_str()]));
    assert!(ids(&repository).contains(&old[1]));
    // Who says nothing leaves it to the machine.
    let report = maintain(&fixture, json!({}));
    assert_eq!(report.forgotten.len(), old.len() - 1);
}

#[test]
fn a_damaged_repository_is_never_pruned() {
    let Old {
        repository,
        fixture,
        packs,
        old_packs,
        ids: old,
        ..
    } = old();
    let whole = repository.copy();
    let (newest, other) = (packs[0].as_str(), old_packs[0].as_str());
    for (what, path, is_lost, drilled) in [
        ("a rotten pack of the newest", newest, false, false),
        ("a lost pack of the newest", newest, true, false),
        ("a rotten pack of another", other, false, true),
        ("a lost pack of another", other, true, true),
    ] {
        if is_lost {
            repository.lose(path);
        } else {
            repository.rot(path);
        }
        let objects = repository.objects();
        let report = maintain(&fixture, json!({"drill": true}));
        let problems = &report.problems;
        let name: String = path.chars().skip("data/".len()).take(8).collect();
        assert!(!problems.is_empty(), "{what}");
        assert!(
            problems.iter().any(|said| said.contains(&name)),
            "{what}: {problems:?}"
        );
        assert_eq!((report.forgotten.len(), report.pruned_bytes), (0, 0), "{what}");
        assert_eq!(repository.objects(), objects, "{what}");
        assert_eq!(report.drill.is_some(), drilled, "{what}: {problems:?}");
        let failed = problems
            .iter()
            .any(|said| said.contains("the restore drill failed"));
        assert_eq!(failed, !drilled, "{what}: {problems:?}");
        repository.mend_object(path, &whole);
    }
    let report = maintain(&fixture, json!({"drill": true}));
    assert_eq!((report.problems.len(), report.forgotten.len()), (0, old.len()));
    repository.restic(&["check", "--read-data"]);
}

#[test]
fn a_failure_is_counted_only_for_the_job_that_failed() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("memory"), noise(1, 100_000)).unwrap();
    repository.break_with(Fault::always("POST", "data/", What::Status(403)));
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    fixture.until("it cannot be saved", |status| {
        failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(
        post(&fixture, "/v1/maintain", &with_token(json!({}), "nobody's")).status,
        202
    );
    fixture.until("nor maintained", |status| {
        failure(status, JobKind::Maintain).is_some()
    });
    let status = fixture.until("it still cannot be saved", |status| {
        failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(failure(&status, JobKind::Snapshot).unwrap().attempts, 2);
    lose(fixture);
}

#[test]
fn verification_reads_every_part_in_turn() {
    let Old {
        repository,
        fixture,
        packs,
        ..
    } = old();
    repository.rot(&packs[0]);
    let parts = 3;
    let reports: Vec<_> = (1..=parts)
        .map(|part| maintain(&fixture, json!({"part": part, "parts": parts})))
        .collect();
    let found = reports.iter().filter(|report| !report.problems.is_empty());
    assert_eq!(found.count(), 1, "{reports:?}");
}

#[test]
fn interrupted_maintenance_leaves_a_valid_repository() {
    let Old {
        repository,
        fixture,
        ids: old,
        ..
    } = old();
    lose(fixture);
    let order = json!({"pinned": [old[1]]});
    let append = with_token(order.clone(), APPEND);
    let allowed = with_token(order, MAINTAIN);
    let cases = [
        ("a token that may not delete", &append, None),
        (
            "snapshots cannot be deleted",
            &allowed,
            Some(Fault::always("DELETE", "snapshots/", What::Status(500))),
        ),
        (
            "packs cannot be written",
            &allowed,
            Some(Fault::always("POST", "data/", What::Status(500))),
        ),
        (
            "the index cannot be written",
            &allowed,
            Some(Fault::always("POST", "index/", What::Status(507))),
        ),
        (
            "the index cannot be deleted",
            &allowed,
            Some(Fault::always("DELETE", "index/", What::Status(500))),
        ),
        (
            "packs cannot be deleted",
            &allowed,
            Some(Fault::always("DELETE", "data/", What::Status(500))),
        ),
        (
            "the machine is lost while the index is written",
            &allowed,
            Some(Fault::always("POST", "index/", What::Hang)),
        ),
        (
            "the machine is lost while packs are deleted",
            &allowed,
            Some(Fault::always("DELETE", "data/", What::Hang)),
        ),
    ];
    // Most of it is waiting for further attempts.
    for some in cases.chunks(SIDE_BY_SIDE) {
        std::thread::scope(|scope| {
            for (what, order, fault) in some {
                let (repository, old) = (repository.copy(), &old);
                scope.spawn(move || break_off(what, &repository, old, order, fault.clone()));
            }
        });
    }
}

fn break_off(what: &str, repository: &Repository, old: &[String], order: &str, fault: Option<Fault>) {
    let mut fixture = start(repository, &ON_DEMAND);
    until_settled(&fixture);
    let is_lost = fault.as_ref().is_some_and(|fault| fault.what == What::Hang);
    if let Some(fault) = fault {
        repository.break_with(fault);
    }
    assert_eq!(post(&fixture, "/v1/maintain", order).status, 202);
    if is_lost {
        fixture.wait_for(what, || (repository.hung() > 0).then_some(()));
        lose(fixture);
        repository.mend();
        fixture = start(repository, &ON_DEMAND);
        until_settled(&fixture);
    } else {
        let status = fixture.until(what, |status| failure(status, JobKind::Maintain).is_some());
        assert_eq!(status.backup.unwrap().maintained, None, "{what}");
        repository.mend();
    }
    repository.restic(&["check", "--read-data"]);
    assert!(
        ids(repository).contains(&old[1]),
        "{what}: the pinned one is there"
    );
    let report = maintain(&fixture, json!({"pinned": [old[1]], "drill": true}));
    assert_eq!(report.problems, [""; 0], "{what}");
    assert!(report.drill.is_some(), "{what}");
    repository.restic(&["check", "--read-data"]);
    let left = ids(repository);
    assert!(
        old.iter().all(|id| left.contains(id) == (*id == old[1])),
        "{what}: {left:?}"
    );
}

/// Maintenance asks which snapshots there are when it begins, when it checks, and when it looks for what none of them
/// needs.
const LISTS: usize = 3;

#[test]
fn a_suddenly_empty_snapshot_list_deletes_no_data() {
    let Old {
        repository,
        fixture,
        newest,
        ids: old,
        ..
    } = old();
    lose(fixture);
    let order = with_token(json!({"pinned": [old[1]]}), MAINTAIN);
    // Most of it is waiting.
    std::thread::scope(|scope| {
        for after in 0..=LISTS {
            let (repository, newest, old, order) = (repository.copy(), &newest, &old, &order);
            scope.spawn(move || {
                let fixture = start(&repository, &ON_DEMAND);
                until_settled(&fixture);
                let objects = repository.objects();
                repository.break_with(Fault {
                    after,
                    ..Fault::always("GET", "snapshots/", What::Empty)
                });
                assert_eq!(post(&fixture, "/v1/maintain", order).status, 202);
                let status = fixture.until("maintenance ends", |status| {
                    let maintained = status.backup.as_ref().unwrap().maintained.is_some();
                    maintained || failure(status, JobKind::Maintain).is_some()
                });
                repository.mend();
                repository.restic(&["check", "--read-data"]);
                for kept in [newest.id.as_str(), &old[1]] {
                    repository.restored(kept);
                }
                let failure = failure(&status, JobKind::Maintain);
                assert_eq!(failure.is_some(), after < LISTS, "{after}: {failure:?}");
                if let Some(failure) = failure {
                    assert_eq!(repository.objects(), objects, "{after}");
                    assert!(
                        failure.message.contains("snapshot"),
                        "{after}: {}",
                        failure.message
                    );
                }
            });
        }
    });
}
