//! What is read of a repository does not grow with its snapshots.

use std::collections::BTreeMap;

use crate::kept::{ON_DEMAND, is_ready, lose, settled, snapshot, start};
use crate::repository::Repository;
use crate::tree::noise;

#[test]
fn no_snapshot_reads_the_indexes_and_snapshots_before_it() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    for number in 0..20 {
        std::fs::write(fixture.home.join("note"), format!("{number}")).unwrap();
        repository.reads();
        snapshot(&fixture);
        let mut reads = repository.reads();
        // The trees of the snapshot before: a pack for each time a directory changed.
        reads.retain(|path| !path.starts_with("data/"));
        assert_eq!(reads, ["config"], "{number}");
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
    // Once to write what it holds, once to compare.
    assert!(packs.values().all(|count| *count <= 2), "{packs:?}");
}
