//! A restore into scratch that cannot be: what is wrong is not the repository.

use moltworker_core::wire::job::JobKind;
use serde_json::json;

use crate::disk::Disk;
use crate::kept::{failure, lose, post, start_on, until_settled};
use crate::maintenance::{Old, ids, maintain, old, with_token};
use crate::repository::{Fault, MAINTAIN, What};

#[test]
fn a_drill_without_disk_space_is_not_a_repository_failure() {
    let Old {
        repository,
        fixture,
        ids: old,
        ..
    } = old();
    lose(fixture);
    // Room for the home, and for little more.
    let Some(disk) = Disk::mount("size=200m") else {
        return;
    };
    let fixture = start_on(&disk, &repository);
    until_settled(&fixture);
    disk.remount("size=60m");
    let report = maintain(&fixture, json!({"drill": true}));
    assert_eq!(report.problems, [""; 0]);
    assert!(report.drill.is_none(), "{report:?}");
    let reason = report.not_drilled.unwrap();
    assert!(reason.contains("no room"), "{reason}");
    assert!(!reason.contains(|character: char| character.is_ascii_digit()));
    assert_eq!(report.forgotten.len(), old.len());
}

#[test]
fn a_drill_retries_when_the_repository_does_not_answer() {
    let Old {
        repository,
        fixture,
        ids: old,
        ..
    } = old();
    let indexes = repository.objects();
    let indexes = indexes.iter().filter(|path| path.starts_with("index/"));
    for (what, fault) in [
        // The check lists the index and reads it; the drill does so again.
        (
            "the drill",
            Fault {
                after: 1 + indexes.count(),
                ..Fault::always("GET", "index/", What::Status(500))
            },
        ),
        ("the check", Fault::always("GET", "data/", What::Status(500))),
    ] {
        repository.break_with(fault);
        let order = with_token(json!({"drill": true}), MAINTAIN);
        assert_eq!(post(&fixture, "/v1/maintain", &order).status, 202);
        let status = fixture.until(what, |status| failure(status, JobKind::Maintain).is_some());
        let message = &failure(&status, JobKind::Maintain).unwrap().message;
        assert!(message.contains("answers 500"), "{what}: {message}");
        repository.mend();
        assert!(ids(&repository).contains(&old[0]), "{what}: nothing is deleted");
        let report = maintain(&fixture, json!({"drill": true, "pinned": [old[0]]}));
        assert_eq!((report.problems.len(), report.not_drilled), (0, None), "{what}");
    }
}
