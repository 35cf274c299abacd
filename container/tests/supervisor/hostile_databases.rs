//! Databases that a tenant has written to be read: what they take is bounded, and everything else is saved and restored.

mod kinds;

use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moltworker_core::wire::control::{RestoreReport, Status};
use rusqlite::Connection;

use crate::fixture::{Fixture, Setup, TOKEN, lives};
use crate::kept::{ON_DEMAND, is_ready, lose, post, snapshot, taken, until_settled};
use crate::repository::{APPEND, PASSWORD, Repository, password};
use crate::tree::hand_over;
use kinds::{database, mutated, templates};

/// Where the gateway keeps its leases.
const GATEWAYS: &str = ".openclaw/state/openclaw.sqlite";
/// What one database may take in these tests.
const TIME: (&str, &str) = ("TEST_DATABASE_TIME_MS", "500");
/// The user of a process that reads databases.
const NOBODY: &str = "65532";
/// Bytes such a process may have resident: what it may take, and its program.
const MAX_RESIDENT: u64 = 256 * 1024 * 1024;
/// One of so many in a full home is as it was made. No number that the kinds share.
const MADE: usize = 3;

fn start(repository: &Repository, further: &[(&str, &str)]) -> Fixture {
    let env = [&ON_DEMAND[..], further].concat();
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        env: &env,
        ..Setup::default()
    });
    until_settled(&fixture);
    fixture
}

/// Processes that read databases for a supervisor.
fn readers(fixture: &Fixture) -> Vec<u32> {
    let parent = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        field(&status, "PPid:").parse::<u32>().ok()
    };
    let all = std::fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).nth(1) == Some(b"read-database")
            && parent(*pid).and_then(parent) == Some(fixture.pid())
    })
    .collect()
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

/// Whether a text is anywhere in what a process has in memory.
fn holds(pid: u32, text: &str) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    assert!(maps.lines().count() > 10);
    maps.lines().any(|line| {
        let (begin, rest) = line.split_once('-').unwrap();
        let (end, rest) = rest.split_once(' ').unwrap();
        let [begin, end] = [begin, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        if !rest.starts_with("rw") {
            return false;
        }
        let mut bytes = Vec::new();
        memory.seek(SeekFrom::Start(begin)).unwrap();
        // What it gives back meanwhile is gone.
        let _ = (&memory).take(end - begin).read_to_end(&mut bytes);
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

fn restored(status: &Status) -> Option<&RestoreReport> {
    status.backup.as_ref()?.restored.as_ref()
}

/// Loses the machine and lets the next one restore; how long that took from its start on.
fn restored_elsewhere(
    fixture: Fixture,
    repository: &Repository,
    further: &[(&str, &str)],
) -> (Fixture, RestoreReport, Duration) {
    lose(fixture);
    let begun = Instant::now();
    let env = [&ON_DEMAND[..], further].concat();
    let fixture = Fixture::start(&Setup {
        repository: Some(repository.access()),
        env: &env,
        ..Setup::default()
    });
    let status = fixture.until("it is ready", is_ready);
    let report = restored(&status).unwrap().clone();
    (fixture, report, begun.elapsed())
}

#[test]
fn the_reader_of_a_database_has_nothing_to_lose() {
    let repository = Repository::start();
    let fixture = start(&repository, &[("TEST_DATABASE_TIME_MS", "20000")]);
    std::fs::write(fixture.home.join("slow.sqlite"), &templates()["generated"]).unwrap();
    hand_over(&fixture.home);
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    let is_root = rustix::process::geteuid().is_root();
    // From its first steps on it is another user.
    let (pid, status) = fixture.wait_for("a database is read", || {
        let pid = *readers(&fixture).first()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let is_confined = field(&status, "Seccomp:") == "2";
        (is_confined && is_at_work(pid)).then_some((pid, status))
    });
    assert_eq!(field(&status, "NoNewPrivs:"), "1");
    for sets in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "CapBnd:"] {
        if is_root || sets != "CapBnd:" {
            assert_eq!(field(&status, sets), "0000000000000000", "{sets}");
        }
    }
    assert_eq!(std::fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    for open in open {
        let leads = std::fs::read_link(open.unwrap().path()).unwrap();
        let leads = leads.to_str().unwrap();
        assert!(!leads.starts_with("socket:"), "{leads}");
    }
    if is_root {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        assert!(limits.contains("Max processes             0 "), "{limits}");
        for secret in [password(PASSWORD).reveal(), APPEND, TOKEN] {
            assert!(!holds(pid, secret), "a secret is in its memory");
        }
        let home = std::fs::metadata(&fixture.home).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&home).to_string();
        let users: Vec<_> = field(&status, "Uid:")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(users, [NOBODY, &owner, NOBODY, &owner]);
        // Its files are those in the directory it works in.
        let root = std::fs::read_link(format!("/proc/{pid}/root")).unwrap();
        assert_eq!(root, fixture.home.with_file_name(".moltbot.scratch"));
        // The bot can neither end nor trace it, nor get at the copy.
        let copy = root.join("database");
        for attempt in [
            vec!["kill", "-KILL", &pid.to_string()],
            vec!["cat", &format!("/proc/{pid}/environ")],
            vec!["cat", copy.to_str().unwrap()],
        ] {
            let done = std::process::Command::new("setpriv")
                .args([
                    &format!("--reuid={owner}"),
                    &format!("--regid={owner}"),
                    "--clear-groups",
                ])
                .args(&attempt)
                .output()
                .unwrap();
            assert!(!done.status.success(), "{attempt:?}");
        }
        assert!(lives(pid));
    }
}

/// Whether it has used enough of the processor to be past its beginning.
fn is_at_work(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after
        .split_whitespace()
        .nth(11)
        .and_then(|ticks| ticks.parse::<u32>().ok());
    ticks.is_some_and(|ticks| ticks > 20)
}

#[test]
fn an_endless_trigger_on_the_leases_holds_up_no_restore() {
    let repository = Repository::start();
    let fixture = start(&repository, &[]);
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let sql = format!(
        "CREATE TABLE state_leases(scope, owner); INSERT INTO state_leases VALUES ('a', 'b');
        CREATE TABLE ran(what);
        CREATE TRIGGER first BEFORE DELETE ON state_leases BEGIN INSERT INTO ran VALUES (1); {endless}; END;
        CREATE TRIGGER last AFTER DELETE ON state_leases BEGIN {endless}; END;"
    );
    let path = fixture.home.join(GATEWAYS);
    database(&path, &sql);
    hand_over(&fixture.home);
    snapshot(&fixture);
    let (fixture, report, took) = restored_elsewhere(fixture, &repository, &[]);
    assert!(report.unset.is_empty(), "{:?}", report.unset);
    assert!(took < Duration::from_secs(60), "{took:?}");
    let database = Connection::open(fixture.home.join(GATEWAYS)).unwrap();
    let left = "SELECT (SELECT count(*) FROM state_leases) + (SELECT count(*) FROM ran)";
    let left: u32 = database.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn leases_that_take_too_long_are_left_and_named() {
    let repository = Repository::start();
    let fixture = start(&repository, &[]);
    let mut sql = String::from("BEGIN; CREATE TABLE state_leases(a); INSERT INTO state_leases VALUES (1);");
    for number in 0..30_000 {
        sql.push_str(&format!("CREATE TABLE t{number}(a, b, c, d);"));
    }
    database(&fixture.home.join(GATEWAYS), &format!("{sql} COMMIT;"));
    hand_over(&fixture.home);
    snapshot(&fixture);
    let (fixture, report, _) = restored_elsewhere(fixture, &repository, &[("TEST_DATABASE_TIME_MS", "1")]);
    assert_eq!(report.unset.total, 1, "{:?}", report.unset);
    assert!(
        report.unset.first[0].contains("longer than"),
        "{:?}",
        report.unset
    );
    let database = Connection::open(fixture.home.join(GATEWAYS)).unwrap();
    let left: u32 = database
        .query_row("SELECT count(*) FROM state_leases", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
}

/// One of each kind, and what becomes of it.
#[test]
fn every_kind_of_hostile_database_is_saved_in_its_time() {
    let repository = Repository::start();
    let fixture = start(&repository, &[TIME]);
    let templates = templates();
    for (kind, bytes) in &templates {
        std::fs::write(fixture.home.join(format!("{kind}.sqlite")), bytes).unwrap();
    }
    let hollow = std::fs::File::create(fixture.home.join("hollow.sqlite")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&hollow, &templates["views"], 0).unwrap();
    hollow.set_len(100_000_000).unwrap();
    drop(hollow);
    database(
        &fixture.home.join("sound.sqlite"),
        "CREATE TABLE t(a); INSERT INTO t VALUES (1)",
    );
    std::fs::write(fixture.home.join("note"), "beside them").unwrap();
    hand_over(&fixture.home);
    let taken = snapshot(&fixture);
    let named = |name: &str| {
        let begin = format!("{name}.sqlite: ");
        taken.raw.iter().find_map(|said| said.strip_prefix(&begin))
    };
    for (kind, reason) in [
        ("generated", Some("longer")),
        ("slow-index", Some("longer")),
        ("large-index", Some("memory")),
        ("hungry-index", Some("memory")),
        ("hollow", Some("holes")),
        // Nothing of it is run.
        ("check", None),
        ("trigger", None),
        ("views", None),
        ("sound", None),
    ] {
        let said = named(kind);
        let is_as_expected = match reason {
            Some(reason) => said.is_some_and(|said| said.contains(reason)),
            None => said.is_none(),
        };
        assert!(is_as_expected, "{kind}: {:?}", taken.raw);
    }
    assert!(taken.lacks.is_empty(), "{:?}", taken.lacks);
    for kind in ["header", "content", "pages", "virtual"] {
        // The log is printed by a thread of its own.
        fixture.wait_for(kind, || {
            let is_told = fixture.output().contains(&format!("{kind}.sqlite is "));
            (is_told || named(kind).is_some()).then_some(())
        });
    }
    let (fixture, _, _) = restored_elsewhere(fixture, &repository, &[TIME]);
    for kind in ["sound", "generated", "slow-index", "check", "trigger"] {
        let database = Connection::open(fixture.home.join(format!("{kind}.sqlite"))).unwrap();
        let rows: u32 = database
            .query_row("SELECT count(*) FROM t NOT INDEXED", [], |row| row.get(0))
            .unwrap();
        assert!(rows > 0, "{kind}");
    }
    for kind in ["header", "content", "pages"] {
        let bytes = std::fs::read(fixture.home.join(format!("{kind}.sqlite"))).unwrap();
        assert!(bytes == templates[kind], "{kind}");
    }
}

/// A home full of them; the snapshot, the restore, and what a process took at most.
fn full_home(count: usize, most: Duration) {
    let repository = Repository::start();
    let fixture = start(&repository, &[TIME]);
    let templates: Vec<_> = templates().into_iter().collect();
    for number in 0..count {
        let (kind, bytes) = &templates[number % templates.len()];
        let directory = fixture.home.join(format!("{}", number / 100));
        std::fs::create_dir_all(&directory).unwrap();
        // Some as they were made: written over, most are only damaged.
        let bytes = if number % MADE == 0 {
            bytes.clone()
        } else {
            mutated(bytes, number)
        };
        std::fs::write(directory.join(format!("{kind}-{number}.sqlite")), bytes).unwrap();
    }
    std::fs::write(fixture.home.join("note"), "beside them").unwrap();
    hand_over(&fixture.home);
    let is_over = AtomicBool::new(false);
    let (took, taken, (seen, resident)) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut seen, mut resident) = (0_u32, 0);
            while !is_over.load(Ordering::Relaxed) {
                for pid in readers(&fixture) {
                    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                    let kib = field(&status, "VmHWM:").trim_end_matches(" kB").parse::<u64>();
                    resident = resident.max(kib.unwrap_or(0) * 1024);
                    seen += 1;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            (seen, resident)
        });
        let begun = Instant::now();
        let taken = within(&fixture, most);
        is_over.store(true, Ordering::Relaxed);
        (begun.elapsed(), taken, watcher.join().unwrap())
    });
    assert!(seen > 0 && resident < MAX_RESIDENT, "{seen} {resident}");
    assert!(taken.raw.len() <= 21, "{}", taken.raw.len());
    assert!(taken.raw.last().unwrap().ends_with(" more"), "{:?}", taken.raw);
    fixture.wait_for("it is told how many more there are", || {
        fixture.output().contains("more lines like these").then_some(())
    });
    assert!(taken.amount.files as usize > count);
    let (fixture, report, restoring) = restored_elsewhere(fixture, &repository, &[TIME]);
    assert_eq!(report.amount, taken.amount);
    assert_eq!(
        std::fs::read_to_string(fixture.home.join("note")).unwrap(),
        "beside them"
    );
    let said = format!(
        "{count} hostile databases: saved in {took:?}, restored in {restoring:?}, {resident} bytes\n"
    );
    std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()).unwrap();
}

fn within(fixture: &Fixture, most: Duration) -> moltworker_core::wire::control::Snapshot {
    let before = taken(&fixture.status()).len();
    let begun = Instant::now();
    assert_eq!(
        post(fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    loop {
        let status = fixture.status();
        if taken(&status).len() > before {
            return taken(&status).last().unwrap().clone();
        }
        let error = status.backup.unwrap().error;
        assert!(error.is_none(), "{error:?}");
        assert!(
            begun.elapsed() < most,
            "not saved in {most:?}:\n{}",
            fixture.output()
        );
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn a_home_full_of_hostile_databases_is_saved_and_restored() {
    // On a machine of its own a minute; the processes have the lowest priority.
    full_home(1_000, Duration::from_secs(600));
}

#[test]
#[ignore = "takes minutes; the one before is the same with fewer"]
fn ten_thousand_hostile_databases_are_saved_and_restored() {
    full_home(10_000, Duration::from_secs(1_800));
}
