//! What the words of the control port look like on the wire.

use super::*;
use crate::wire::job::JobKind;
use crate::wire::run::SnapshotId;

fn id(digit: char) -> SnapshotId {
    digit.to_string().repeat(64).parse().unwrap()
}

fn named(text: &str) -> Named {
    let mut named = Named::default();
    named.push(text);
    named
}

fn backup() -> BackupStatus {
    let amount = Amount {
        files: 1_000,
        bytes: 200_000_000,
    };
    let restored = RestoreReport {
        snapshot: Some(id('a')),
        taken_at: Some(1_790_000_000_000),
        restored_at: 1_790_000_100_000,
        amount,
        duration_ms: 2_500,
        compared: 1_100,
        mismatches: 0,
        passed_over: vec![id('b')],
        passed_over_more: 0,
        passed_over_for: Some("a database is gone".into()),
        lost: None,
        lost_at: None,
        disk_bytes: Some(150_000_000),
        unset: named("notes: its time differs"),
    };
    BackupStatus {
        restored: Some(restored.clone()),
        under_way: Some(Progress {
            job: JobKind::Snapshot,
            done: Amount { files: 10, bytes: 20 },
            total: Some(amount),
        }),
        taken: vec![Snapshot {
            id: id('c'),
            taken_at: 1_790_000_200_000,
            reason: Some(SnapshotReason::Change),
            run: Some(3),
            gateway_version: Some("2026.9.6".into()),
            amount,
            added_bytes: 4_096,
            suspicious: Some("more than half of its bytes are gone".into()),
            lost: Some(Lost {
                what: "more than half of its bytes are gone".into(),
                before: id('a'),
            }),
            raw: vec!["memory.sqlite: database is locked".into()],
            disk_bytes: Some(150_000_000),
            lacks: named("secret: Permission denied"),
            left_out: LeftOut {
                files: 2,
                bytes: 8_192,
                is_more: true,
                largest: vec![LeftOutPlace {
                    path: ".cache/pip".into(),
                    bytes: 8_192,
                }],
            },
            moments: named("large.bin: it was written all the time"),
            pause_ms: Some(80),
            accepted: true,
        }],
        error: Some(BackupError {
            failed_at: 1_790_000_300_000,
            job: JobKind::Snapshot,
            attempts: 2,
            message: "the repository answers 500".into(),
        }),
        maintained: Some(MaintenanceReport {
            finished_at: 1_790_000_400_000,
            duration_ms: 60_000,
            forgotten: vec![id('d')],
            kept: 40,
            pruned_bytes: 1_000_000,
            checked_bytes: 2_000_000,
            problems: vec![],
            drill: Some(restored),
            not_drilled: Some("there is no room for it".into()),
        }),
        changed: true,
        held_up: Some(HeldUp {
            since_ms: 14_000,
            message: "the repository does not answer".into(),
        }),
        unsaved_at_ms: Some(13_000),
        partly_watched: true,
    }
}

/// The supervisor and the Worker may be of different versions during a rollout: the text is a contract.
#[test]
fn the_status_wire_format_is_fixed() {
    let status = Status {
        user: "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20".parse().unwrap(),
        run: Run(3),
        supervisor_version: "0.1.0".into(),
        uptime_ms: 15_000,
        phase: GatewayPhase::Ready,
        gateway_pid: Some(42),
        start: StartTimes {
            tcp_ms: Some(11_000),
            ready_ms: Some(14_800),
        },
        restarts: 1,
        last_exit: Some(ExitReason::Signal(9)),
        gateway_version: Some("2026.9.6".into()),
        ready_for_ms: Some(120),
        endings: vec![Ending {
            at_ms: 100,
            reason: EndReason::OutOfMemory,
            exit: ExitReason::Signal(9),
            message: None,
        }],
        crash_loop: Some(CrashLoop {
            since_ms: 1,
            failures: 1,
            reason: EndReason::ConfigRejected,
            message: Some("Unrecognized key: \"foo\"".into()),
        }),
        outlived: Some(25),
        idle_ms: 1_000,
        open: OpenTraffic {
            requests: 1,
            upgrades: 2,
        },
        memory: Some(Memory {
            current: 900_000_000,
            peak: Some(1_000_000_000),
            limit: Some(4_294_967_296),
            oom_kills: 1,
        }),
        disk: Some(Disk {
            used: 1_500_000_000,
            size: 8_000_000_000,
        }),
        cpu_ms: Some(61_000),
        probe_ms: Some(4),
        processes: ProcessCount { all: 5, zombies: 0 },
        backup: Some(backup()),
    };
    let golden = include_str!("../../../../tests/contract/status.json");
    assert_eq!(serde_json::from_str::<Status>(golden).unwrap(), status);
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        serde_json::from_str::<serde_json::Value>(golden).unwrap()
    );
}
#[test]
fn the_status_of_an_older_supervisor_is_parsed() {
    let golden = include_str!("../../../../tests/contract/status.json");
    let mut status: serde_json::Value = serde_json::from_str(golden).unwrap();
    let fields = status.as_object_mut().unwrap();
    for later in [
        "gateway_version",
        "ready_for_ms",
        "endings",
        "crash_loop",
        "idle_ms",
        "open",
        "memory",
        "disk",
        "cpu_ms",
        "probe_ms",
        "processes",
        "backup",
    ] {
        assert!(fields.remove(later).is_some(), "{later}");
    }
    let status: Status = serde_json::from_value(status).unwrap();
    assert_eq!(
        (status.idle_ms, status.memory),
        (0, None),
        "unknown is never idle"
    );
}

#[test]
fn the_status_of_a_newer_supervisor_is_parsed() {
    assert_eq!(
        serde_json::from_str::<GatewayPhase>("\"dreaming\"").unwrap(),
        GatewayPhase::Unknown
    );
    assert_eq!(
        serde_json::from_str::<EndReason>("\"boredom\"").unwrap(),
        EndReason::Unknown
    );
}

#[test]
fn the_quiesce_wire_format_is_fixed() {
    let busy = Quiesce::Busy {
        blockers: vec!["1 embedded-run".into()],
        retry_after_ms: 20_000,
    };
    for (answer, text) in [
        (Quiesce::Ready, r#"{"answer":"ready"}"#),
        (
            busy,
            r#"{"answer":"busy","blockers":["1 embedded-run"],"retry_after_ms":20000}"#,
        ),
        (Quiesce::Unsupported, r#"{"answer":"unsupported"}"#),
        (Quiesce::NoGateway, r#"{"answer":"no-gateway"}"#),
        (Quiesce::Unsaved, r#"{"answer":"unsaved"}"#),
    ] {
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        assert_eq!(serde_json::from_str::<Quiesce>(text).unwrap(), answer);
    }
    let newer = r#"{"answer":"dreaming","depth":3}"#;
    assert_eq!(serde_json::from_str::<Quiesce>(newer).unwrap(), Quiesce::Unknown);
}

#[test]
fn reason_names_match_their_serialized_form() {
    for reason in EndReason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
}
