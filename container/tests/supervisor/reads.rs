//! What is read of a repository does not grow with its snapshots, and none of it twice.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kept::{ON_DEMAND, is_ready, lose, own, settled, snapshot, start};
use crate::repository::{Fault, Repository, What};
use crate::tree::{assert_same, noise};

#[test]
fn a_small_snapshot_reads_nothing_but_the_config() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    for number in 0..20 {
        std::fs::write(fixture.home.join("note"), format!("{number}")).unwrap();
        repository.reads();
        snapshot(&fixture);
        assert_eq!(repository.reads(), ["config"], "{number}");
    }
}

/// Files of a megabyte, as many as six packs hold, in an order in which each lies in another pack than the one before.
#[test]
fn a_restore_reads_each_pack_once_in_whatever_order_its_files_are() {
    const PACKS: u64 = 6;
    const IN_A_PACK: u64 = 7;
    let repository = Repository::start();
    let fixture = settled(&repository);
    let many = fixture.home.join("many");
    std::fs::create_dir(&many).unwrap();
    for number in 0..PACKS * IN_A_PACK {
        let path = many.join(format!("{number:02}"));
        std::fs::write(path, noise(number + 1, 1_000_000)).unwrap();
    }
    snapshot(&fixture);
    for number in 0..PACKS * IN_A_PACK {
        let next = (number % IN_A_PACK) * PACKS + number / IN_A_PACK;
        std::fs::rename(
            many.join(format!("{number:02}")),
            many.join(format!("new-{next:02}")),
        )
        .unwrap();
    }
    snapshot(&fixture);
    lose(fixture);
    repository.reads();
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    let mut packs = BTreeMap::<String, usize>::new();
    for path in repository.reads() {
        if path.starts_with("data/") {
            *packs.entry(path).or_default() += 1;
        }
    }
    assert!(packs.len() >= 5, "{packs:?}");
    assert!(packs.values().all(|count| *count == 1), "{packs:?}");
}

#[test]
fn a_run_opens_its_repository_with_a_password_once() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("note"), "1").unwrap();
    snapshot(&fixture);
    repository.break_with(Fault::always("GET", "keys/", What::Status(500)));
    std::fs::write(fixture.home.join("note"), "2").unwrap();
    snapshot(&fixture);
}

#[test]
fn many_indexes_and_snapshots_are_read_side_by_side() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    for number in 0..12 {
        std::fs::write(fixture.home.join("note"), format!("{number}")).unwrap();
        snapshot(&fixture);
    }
    lose(fixture);
    for kind in ["snapshots/", "index/"] {
        repository.break_with(Fault::always("GET", kind, What::Late(Duration::from_millis(300))));
        repository.read_at_a_time();
        let fixture = start(&repository, &ON_DEMAND);
        fixture.until("it is ready", is_ready);
        let at_a_time = repository.read_at_a_time();
        assert!(at_a_time > 4, "{kind}: {at_a_time}");
        repository.mend();
        lose(fixture);
    }
}

/// Of each three files in a pack two are deleted. Each is too short to be cut, so that it does not matter where a repository cuts.
#[test]
fn a_restore_reads_no_more_of_a_pack_than_it_needs() {
    const FILES: u64 = 72;
    const LENGTH: usize = 500_000;
    let repository = Repository::start();
    let fixture = settled(&repository);
    let many = fixture.home.join("many");
    std::fs::create_dir(&many).unwrap();
    let path = |number: u64| many.join(format!("{number:02}"));
    for number in 0..FILES {
        std::fs::write(path(number), noise(number + 1, LENGTH)).unwrap();
    }
    snapshot(&fixture);
    for number in (0..FILES).filter(|number| number % 3 != 0) {
        std::fs::remove_file(path(number)).unwrap();
    }
    snapshot(&fixture);
    let before = own(&fixture);
    lose(fixture);
    repository.sent();
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    assert_same(&own(&fixture), &before);
    let (sent, needed) = (repository.sent(), LENGTH * 24);
    assert!(sent < needed * 5 / 4, "{sent} of {needed}");
}

#[test]
fn what_is_damaged_on_its_way_is_read_again() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    std::fs::write(fixture.home.join("large"), noise(1, 3_000_000)).unwrap();
    snapshot(&fixture);
    let before = own(&fixture);
    lose(fixture);
    let pack = repository.packs_since(&[]).swap_remove(0);
    repository.break_with(Fault {
        times: 1,
        ..Fault::always("GET", pack, What::Corrupt)
    });
    let fixture = start(&repository, &ON_DEMAND);
    fixture.until("it is ready", is_ready);
    assert_same(&own(&fixture), &before);
    let output = fixture.output();
    assert!(!output.contains("failed"), "{output}");
}
