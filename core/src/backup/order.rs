//! The order of snapshots.

use crate::wire::run::SnapshotId;

/// These in order, the newest first; of two of the same time the one with the greater id. `key` is when one was stored, and
/// its id.
///
/// Each is put where it belongs, which for the hundreds of snapshots a bot has takes no time. The library's sorts would be
/// 9 kB of the Worker.
pub fn newest_first<T>(
    all: impl IntoIterator<Item = T>,
    key: impl for<'a> Fn(&'a T) -> (u64, &'a SnapshotId),
) -> Vec<T> {
    let mut sorted = Vec::new();
    for one in all {
        let place = sorted.partition_point(|other| key(other) > key(&one));
        sorted.insert(place, one);
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_first_and_ids_decide_where_times_do_not() {
        let snapshot = |stored_at: u64, digit: &str| -> (u64, SnapshotId) {
            (stored_at, digit.repeat(64).parse().unwrap())
        };
        let all = [
            snapshot(2, "a"),
            snapshot(1, "f"),
            snapshot(3, "0"),
            snapshot(2, "b"),
            snapshot(2, "0"),
        ];
        let mut expected = all.to_vec();
        expected.sort();
        expected.reverse();
        assert_eq!(newest_first(all, |(stored_at, id)| (*stored_at, id)), expected);
    }
}
