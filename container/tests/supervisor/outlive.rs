//! A tenant that fights back: nothing of it outlives its gateway, a restore or a stop.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use moltworker_core::wire::control::GatewayPhase;

use crate::fixture::{Fixture, Setup, cannot_run, has_state, kill, not_tested};
use crate::kept::{ON_DEMAND, is_ready, own, post, snapshot, taken, until_settled};
use crate::repository::Repository;
use crate::tree::{assert_same, hand_over};

/// Looks at a home that must not change any more. Each takes longer than a fighter takes to write.
const LOOKS: u32 = 50;
/// Enough of them that they are in each other's way.
const MIN_FIGHTERS: usize = 25;
/// How they are reached: by their user, and by their control group where there can be one.
const SCOPES: [&str; 2] = ["TEST_TENANT_USER", "TEST_TENANT_CONTAINER"];

/// A user of one test, and a turn: each of these tests takes the whole machine for a moment.
struct Spare {
    user: String,
    _turn: MutexGuard<'static, ()>,
}

impl Spare {
    /// None where a process cannot be started as somebody else.
    fn take() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static TURN: Mutex<()> = Mutex::new(());
        if !rustix::process::geteuid().is_root() {
            cannot_run(
                "what outlives a gateway",
                "only root can give it a user of its own",
            );
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            // Above what people, the tests' other bots and systems have.
            user: (100_000 + std::process::id() % 100_000 * 10 + number).to_string(),
            _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Its processes that have not ended, whatever they call themselves.
    fn processes(&self) -> Vec<u32> {
        let all = std::fs::read_dir("/proc").unwrap();
        all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| is_there(*pid, &self.user))
            .collect()
    }
}

impl Drop for Spare {
    /// Nothing of a test is left on the machine, whatever became of it.
    fn drop(&mut self) {
        let user = format!("--reuid={}", self.user);
        let killed = std::process::Command::new("setpriv")
            .args([&user, "--clear-groups", "kill", "-KILL", "--", "-1"])
            .output();
        assert!(killed.is_ok() || std::thread::panicking());
    }
}

fn is_there(pid: u32, user: &str) -> bool {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let is_gone = field("State:").starts_with('Z') && field("Threads:") == "1";
    field("Uid:").split_whitespace().next() == Some(user) && !is_gone
}

fn fighting(spare: &Spare, scope: &str, env: &[(&str, &str)], repository: Option<&Repository>) -> Fixture {
    let mut env = env.to_vec();
    env.push((scope, &spare.user));
    let fixture = Fixture::start(&Setup {
        env: &env,
        repository: repository.map(Repository::access),
        ..Setup::default()
    });
    fixture.until("the gateway is ready", is_ready);
    fixture
}

fn fight(fixture: &Fixture, spare: &Spare) {
    assert_eq!(fixture.get("/fight").status, 200);
    fixture.wait_for("they fight", || {
        (spare.processes().len() >= MIN_FIGHTERS && fixture.home.join("memory").exists()).then_some(())
    });
}

#[test]
fn a_tenant_that_fights_back_is_gone_after_a_stop() {
    for scope in SCOPES {
        let Some(spare) = Spare::take() else { return };
        let mut fixture = fighting(&spare, scope, &[("TEST_STOP_GRACE_MS", "2000")], None);
        fight(&fixture, &spare);
        fixture.signal("TERM");
        // Anything that is left makes it another code.
        assert_eq!(fixture.ended().code(), Some(0), "{}", fixture.output());
        assert_eq!(spare.processes(), [0_u32; 0]);
        assert!(
            fixture.output().contains("it was outlived by "),
            "{}",
            fixture.output()
        );
    }
}

#[test]
fn a_replaced_gateway_leaves_no_fighter_beside_the_next() {
    for scope in SCOPES {
        let Some(spare) = Spare::take() else { return };
        let fixture = fighting(&spare, scope, &[], None);
        fight(&fixture, &spare);
        kill("KILL", fixture.status().gateway_pid.unwrap());
        let status = fixture.until("it is back", |status| status.restarts == 1 && is_ready(status));
        assert_eq!(spare.processes(), [status.gateway_pid.unwrap()], "{scope}");
        let outlived = status.outlived.unwrap_or_default();
        assert!(outlived as usize >= MIN_FIGHTERS, "{outlived}");
    }
}

#[test]
fn a_restored_home_is_out_of_reach_of_what_ran_before() {
    for scope in SCOPES {
        let Some(spare) = Spare::take() else { return };
        let repository = Repository::start();
        let fixture = fighting(&spare, scope, &ON_DEMAND, Some(&repository));
        until_settled(&fixture);
        std::fs::write(fixture.home.join("memory"), "of years").unwrap();
        hand_over(&fixture.home);
        let older = snapshot(&fixture);
        let then = own(&fixture);
        std::fs::remove_file(fixture.home.join("memory")).unwrap();
        fight(&fixture, &spare);

        let order = format!("{{\"snapshot\":\"{}\"}}", older.id);
        assert_eq!(post(&fixture, "/v1/restore", &order).status, 202);
        let status = fixture.until("the older state is back", |status| {
            let report = status.backup.as_ref().unwrap().restored.as_ref();
            let from = report.and_then(|report| report.snapshot.as_ref());
            status.phase == GatewayPhase::Ready && from == Some(&older.id)
        });
        assert_eq!(spare.processes(), [status.gateway_pid.unwrap()], "{scope}");
        for _ in 0..LOOKS {
            assert_same(&own(&fixture), &then);
        }
    }
}

/// The directories of control groups of version 2 on this machine that a process is in.
fn groups_of(pid: &str) -> Vec<PathBuf> {
    let text = read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"));
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let all = mounts.iter().filter_map(|mount| Some(mount.join(own?)));
    all.filter(|group| group.join("cgroup.procs").exists()).collect()
}

/// Whether a group can be made below our own.
fn can_have_groups() -> bool {
    groups_of("self").iter().any(|own| {
        let group = own.join(format!("moltbot-test-{}", std::process::id()));
        let made = std::fs::create_dir(&group);
        let can = made.is_ok() && group.join("cgroup.freeze").exists();
        let _ = std::fs::remove_dir(&group);
        can
    })
}

#[test]
fn a_bot_in_a_control_group_is_frozen_as_a_whole_for_a_snapshot() {
    let Some(spare) = Spare::take() else { return };
    if !can_have_groups() {
        not_tested(
            "the freezer of control groups",
            "there is no version 2 of them that can be written to",
        );
        return;
    }
    let repository = Repository::start();
    let fixture = fighting(&spare, "TEST_TENANT_CONTAINER", &ON_DEMAND, Some(&repository));
    until_settled(&fixture);
    let gateway = fixture.status().gateway_pid.unwrap();
    let group = groups_of(&gateway.to_string()).pop().unwrap();
    let own = format!("moltbot-{}", fixture.pid());
    assert_eq!(group.file_name().unwrap().to_str(), Some(own.as_str()));
    let is_frozen = || {
        read_to_string(group.join("cgroup.events"))
            .unwrap()
            .contains("frozen 1")
    };

    // Enough changes that it takes longer than a look.
    assert_eq!(fixture.get("/churn/in-place").status, 200);
    assert_eq!(
        post(&fixture, "/v1/snapshot", r#"{"reason":"manual"}"#).status,
        202
    );
    let stopped = fixture.wait_for("it is frozen", || {
        let is_stopped = has_state(gateway, 'T');
        (is_frozen() || is_stopped).then_some(is_stopped)
    });
    assert!(!stopped, "by a signal, which its shell would be told of");
    let status = fixture.until("the snapshot is taken", |status| taken(status).len() > 1);
    assert!(taken(&status)[1].pause_ms.is_some(), "{:?}", taken(&status));
    fixture.wait_for("it goes on", || (!is_frozen()).then_some(()));
    assert_eq!(fixture.get("/healthz").status, 200);
}
