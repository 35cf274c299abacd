//! What calls about snapshots are, and what they answer.

use super::*;

const CALLS: [SnapshotCall; 11] = [
    SnapshotCall::List,
    SnapshotCall::Take,
    SnapshotCall::Restore,
    SnapshotCall::Pin,
    SnapshotCall::Unpin,
    SnapshotCall::Keep,
    SnapshotCall::PutBack,
    SnapshotCall::Choose,
    SnapshotCall::Browse,
    SnapshotCall::Download,
    SnapshotCall::Archive,
];

fn id() -> SnapshotId {
    "ab".repeat(32).parse().unwrap()
}

fn request(snapshot: bool, accept: bool, path: bool) -> SnapshotRequest {
    SnapshotRequest {
        snapshot: snapshot.then(id),
        accept: accept.then_some(true),
        path: path.then(|| HomePath::of("notes/a.md")),
        after: None,
    }
}

#[test]
fn a_call_with_its_particulars_is_a_command() {
    let id = id();
    for (call, (snapshot, accept, path), detail) in [
        (SnapshotCall::List, (false, false, false), "list snapshots"),
        (SnapshotCall::Take, (false, false, false), "take snapshot"),
        (
            SnapshotCall::Take,
            (false, true, false),
            "take snapshot, whatever is gone",
        ),
        (
            SnapshotCall::Restore,
            (false, false, false),
            "restore snapshot latest",
        ),
        (
            SnapshotCall::Restore,
            (true, true, false),
            "restore snapshot ID, whatever is gone",
        ),
        (SnapshotCall::Pin, (true, false, false), "pin snapshot ID"),
        (SnapshotCall::Unpin, (true, false, false), "unpin snapshot ID"),
        (SnapshotCall::Keep, (false, false, false), "keep what there is"),
        (
            SnapshotCall::PutBack,
            (false, false, false),
            "put back what was passed over",
        ),
        (SnapshotCall::Browse, (true, false, false), "browse snapshot ID"),
        (
            SnapshotCall::Browse,
            (true, false, true),
            "browse snapshot ID: notes/a.md",
        ),
        (
            SnapshotCall::Download,
            (true, false, true),
            "download snapshot ID: notes/a.md",
        ),
        (
            SnapshotCall::Archive,
            (true, false, true),
            "download snapshot ID: notes/a.md",
        ),
    ] {
        let command = SnapshotCommand::new(call, request(snapshot, accept, path)).unwrap();
        assert_eq!(
            command.history_detail(),
            detail.replace("ID", id.as_str()),
            "{call:?}"
        );
    }
}

#[test]
fn what_does_not_go_with_a_call_is_refused_even_as_the_default() {
    for call in CALLS {
        for (given, name, calls) in [
            (
                SnapshotRequest {
                    snapshot: Some(id()),
                    ..SnapshotRequest::default()
                },
                "snapshot",
                "Restore Pin Unpin Browse Download Archive",
            ),
            (
                SnapshotRequest {
                    accept: Some(false),
                    ..request(call.names_snapshot(), false, false)
                },
                "accept",
                "Take Restore",
            ),
            (
                SnapshotRequest {
                    path: Some(HomePath::default()),
                    ..request(call.names_snapshot(), false, false)
                },
                "path",
                "Browse Download Archive",
            ),
        ] {
            let goes = calls.split(' ').any(|one| one == format!("{call:?}"));
            match SnapshotCommand::new(call, given) {
                Ok(_) => assert!(goes, "{call:?} takes {name}"),
                Err(why) => assert!(!goes && why.starts_with(name), "{call:?}: {why}"),
            }
        }
    }
}

#[test]
fn a_call_about_one_snapshot_has_to_name_it() {
    for call in CALLS {
        let unnamed = SnapshotCommand::new(call, SnapshotRequest::default());
        assert_eq!(unnamed.is_err(), call.names_snapshot(), "{call:?}");
    }
}

#[test]
fn a_snapshot_request_with_unknown_fields_is_refused() {
    let read = |text: &str| crate::json::exactly::<SnapshotRequest>(text.as_bytes());
    assert_eq!(read("{}").unwrap(), SnapshotRequest::default());
    assert!(read(r#"{"snapshot":"latest"}"#).is_err());
    assert!(read(r#"{"snapshots":null}"#).is_err());
}

fn shown(number: usize) -> ShownSnapshot {
    ShownSnapshot {
        id: format!("{number:064x}").parse().unwrap(),
        stored_at: u64::try_from(number / 2).unwrap(),
        details: None,
        verified_at: None,
        pinned: false,
        held_until: None,
    }
}

#[test]
fn a_list_comes_in_pages_that_miss_and_repeat_nothing() {
    for total in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE] {
        let all: Vec<_> = (0..total).map(shown).collect();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = SnapshotList::page(all.clone(), after.as_ref());
            assert!(page.snapshots.len() <= PAGE && page.total == total);
            seen.extend(page.snapshots);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        seen.reverse();
        assert_eq!(seen, all, "{total}");
    }
}

#[test]
fn a_list_goes_on_where_a_snapshot_has_been_deleted() {
    let all: Vec<_> = (0..PAGE + 7).map(shown).collect();
    let first = SnapshotList::page(all.clone(), None);
    let last = first.snapshots.last().unwrap();
    let left = all.iter().filter(|snapshot| snapshot.id != last.id);
    let second = SnapshotList::page(left.cloned().collect(), first.next.as_ref());
    let ids: Vec<_> = second.snapshots.into_iter().map(|snapshot| snapshot.id).collect();
    let expected: Vec<_> = (0..7).rev().map(|number| shown(number).id).collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_cursor_of_a_list_is_read_as_it_was_written() {
    let page = SnapshotList::page((0..=PAGE).map(shown).collect(), None);
    let cursor = page.next.unwrap();
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    let id = shown(1).id;
    for other in [
        String::new(),
        id.to_string(),
        format!("x.{id}"),
        "1.ab".to_owned(),
    ] {
        assert!(other.parse::<SnapshotCursor>().is_err(), "{other}");
    }
}
