//! The machine is lost at any moment, in the middle of a snapshot or a restore: the next run begins with a whole
//! state that was saved, and never with an older one than was known to be.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::fixture::{Fixture, WAIT_DEADLINE, exists, kill};
use crate::kept::{
    ON_DEMAND, backup_processes, is_ready, lose, post, settled, snapshot, start, until_settled,
};
use crate::repository::{Fault, Repository, What};
use crate::tree::{hand_over, listed, noise};

const KILLS: u64 = 20;
/// Longer than a snapshot or a restore of these states takes, and so long that most kills come in the middle.
const SPAN_MS: u64 = 900;
const FILES: u64 = 12;
const FILE: usize = 700_000;
/// The file that says which state a home is in.
const STATE: &str = "state/number";

/// Random enough, and the same for the same seed.
struct Chance(u64);

impl Chance {
    fn moment(&mut self) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % SPAN_MS)
    }
}

/// Brings a home into the state of this number: all files are others, most of them in part.
fn bring(home: &Path, number: u64) {
    std::fs::create_dir_all(home.join("state")).unwrap();
    for (name, bytes) in state(number) {
        std::fs::write(home.join(name), bytes).unwrap();
    }
    hand_over(home);
}

fn state(number: u64) -> BTreeMap<String, Vec<u8>> {
    let file = |file: u64| {
        let mut bytes = noise(file, FILE);
        // Some are others altogether.
        if (file + number).is_multiple_of(3) {
            bytes = noise(1_000 * number + file, FILE);
        }
        bytes.extend(number.to_string().bytes());
        (format!("state/{file}.bin"), bytes)
    };
    let number = (STATE.to_owned(), number.to_string().into_bytes());
    (0..FILES).map(file).chain([number]).collect()
}

/// The number of the state a home is in. Fails when it is in none.
fn assert_whole(home: &Path) -> u64 {
    let number = read_to_string(home.join(STATE)).unwrap().parse().unwrap();
    let expected = state(number);
    for (name, bytes) in &expected {
        assert!(
            std::fs::read(home.join(name)).unwrap() == *bytes,
            "{name} of {number}"
        );
    }
    assert_eq!(listed(&home.join("state")).len(), expected.len());
    number
}

/// Nothing of a supervisor that was killed is left.
fn assert_gone(processes: &[u32]) {
    let until = Instant::now() + WAIT_DEADLINE;
    for pid in processes {
        while exists(*pid) {
            assert!(Instant::now() < until, "process {pid} outlives its supervisor");
            std::thread::yield_now();
        }
    }
}

/// Kills all of it at once.
fn lose_all(fixture: Fixture) {
    let processes = fixture.children();
    lose(fixture);
    assert_gone(&processes);
}

/// A new one each time; one that failed is tried again by `SEED=…`.
#[expect(clippy::disallowed_methods, reason = "where a test begins, not what it does")]
fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    })
}

#[test]
fn killing_the_machine_at_any_moment_loses_no_saved_data() {
    let seed = seed();
    println!("SEED={seed}");
    let mut chance = Chance(seed);
    let repository = Repository::start();
    let mut fixture = settled(&repository);
    let mut number = 1;
    bring(&fixture.home, number);
    snapshot(&fixture);
    let mut saved = number;
    let mut interrupted = 0;
    for killed in 0..KILLS {
        number += 1;
        bring(&fixture.home, number);
        let before = repository.snapshots();
        assert_eq!(
            post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
            202
        );
        let moment = chance.moment();
        if killed % 2 == 0 {
            wait(moment);
            let there = repository.snapshots();
            lose_all(fixture);
            // Of the state of which a snapshot is there the next run knows.
            if there > before {
                saved = number;
            } else {
                interrupted += 1;
            }
        } else {
            fixture.wait_for("it is saved", || (repository.snapshots() > before).then_some(()));
            saved = number;
            lose_all(fixture);
            let half = start(&repository, &ON_DEMAND);
            wait(moment);
            interrupted += u64::from(half.status().gateway_pid.is_none());
            lose_all(half);
        }
        fixture = start(&repository, &ON_DEMAND);
        let status = fixture.until("it is ready", is_ready);
        let found = assert_whole(&fixture.home);
        assert!(
            (saved..=number).contains(&found),
            "{found} of {saved} to {number}, kill {killed}"
        );
        let report = status.backup.unwrap().restored.unwrap();
        assert_eq!(report.mismatches, 0);
        saved = found;
        until_settled(&fixture);
    }
    println!("{interrupted} of {KILLS} came in the middle");
    assert!(interrupted > 0);
    repository.restic(&["check", "--read-data"]);
    let (_target, restored) = repository.restored("latest");
    assert_eq!(assert_whole(&restored), saved);
}

/// Lets time pass, so that something is killed at any moment of what it does.
fn wait(moment: Duration) {
    let until = Instant::now() + moment;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[test]
fn a_backup_process_ends_with_its_supervisor() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    bring(&fixture.home, 1);
    snapshot(&fixture);
    bring(&fixture.home, 2);
    repository.break_with(Fault::always("POST", "data/", What::Hang));
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    let process = backup_process(&fixture, &repository);
    kill("KILL", fixture.pid());
    assert_gone(&[process]);
    drop(fixture);
    let repository = repository.copy();
    repository.break_with(Fault::always("GET", "data/", What::Hang));
    let fixture = start(&repository, &ON_DEMAND);
    let process = backup_process(&fixture, &repository);
    kill("KILL", fixture.pid());
    assert_gone(&[process]);
}

/// The backup process, once it asks for what it is not given.
fn backup_process(fixture: &Fixture, repository: &Repository) -> u32 {
    fixture.wait_for("it hangs", || {
        let hangs = repository.hung() > 0;
        backup_processes(fixture).into_iter().next().filter(|_| hangs)
    })
}
