//! What opens a repository: key files that take next to no work, and those of before.

use moltworker_core::wire::control::GatewayPhase;
use moltworker_core::wire::job::JobKind;

use crate::kept::{ON_DEMAND, QUICK, failure, is_ready, lose, settled, start, until_settled};
use crate::repository::{Fault, Repository, What};

/// What deriving each key file's key takes: `N`, `r` and `p` of scrypt.
fn work(repository: &Repository) -> Vec<(u64, u64, u64)> {
    let number = |file: &serde_json::Value, name: &str| file[name].as_u64().unwrap();
    let files = repository.contents("keys/");
    let files = files.iter().map(|text| serde_json::from_slice(text).unwrap());
    let work =
        files.map(|file: serde_json::Value| (number(&file, "N"), number(&file, "r"), number(&file, "p")));
    work.collect()
}

#[test]
fn a_new_repository_opens_with_next_to_no_work_also_for_restic() {
    let repository = Repository::start();
    lose(settled(&repository));
    assert_eq!(work(&repository), [(2, 1, 1)]);
    repository.restic(&["check"]);
}

#[test]
fn a_repository_of_stock_restic_opens_and_gets_a_cheaper_key() {
    let repository = Repository::start();
    repository.restic(&["init"]);
    assert!(work(&repository)[0].0 > 2);
    for run in 0..2 {
        let fixture = start(&repository, &ON_DEMAND);
        until_settled(&fixture);
        let mut found = work(&repository);
        found.sort_unstable();
        assert_eq!((found.len(), found[0]), (2, (2, 1, 1)), "run {run}");
        lose(fixture);
    }
    repository.restic(&["check"]);
}

#[test]
fn a_repository_broken_off_before_its_config_keeps_its_one_key() {
    let repository = Repository::start();
    repository.break_with(Fault::always("POST", "config", What::Status(507)));
    let fixture = start(&repository, &QUICK);
    let status = fixture.until("the first snapshot fails", |status| {
        failure(status, JobKind::Snapshot).is_some()
    });
    assert_eq!(status.phase, GatewayPhase::Ready);
    assert_eq!(work(&repository).len(), 1);
    repository.mend();
    until_settled(&fixture);
    assert_eq!(work(&repository).len(), 1);
    lose(fixture);
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    repository.restic(&["check"]);
}
