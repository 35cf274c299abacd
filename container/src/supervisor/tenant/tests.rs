//! Whose process is whose.

use super::*;

const OWN: u32 = 10;
const BOT: u32 = 1_500;

fn process(pid: u32, parent: u32, user: u32) -> Relative {
    Relative {
        pid,
        parent,
        user,
        saved_user: user,
        name: format!("p{pid}"),
    }
}

fn tenants(all: &[Relative], ours: &[u32], user: Option<u32>) -> Vec<u32> {
    let kin = Kin::of(all, OWN, &ours.iter().copied().collect(), user);
    kin.tenants.iter().map(|process| process.pid).collect()
}

#[test]
fn what_is_below_the_supervisor_or_has_the_bots_user_is_the_bots() {
    let all = [
        process(1, 0, 0),
        process(OWN, 1, 0),
        // The gateway's tool, a daemon of it, and what was put into the container by somebody else.
        process(20, OWN, BOT),
        process(21, 20, BOT),
        process(22, 1, BOT),
        process(30, 0, 0),
        process(31, 30, 7),
        // A backup job, with a helper.
        process(40, OWN, 0),
        process(41, 40, 0),
    ];
    assert_eq!(tenants(&all, &[40], Some(BOT)), [20, 21, 22]);
    assert_eq!(tenants(&all, &[40], None), [20, 21]);
    // Nothing of ours goes on.
    assert_eq!(tenants(&all, &[], None), [20, 21, 40, 41]);
}

#[test]
fn a_job_with_the_bots_user_is_spared() {
    let all = [
        process(OWN, 1, 0),
        process(40, OWN, 0),
        process(41, 40, BOT),
        process(50, OWN, BOT),
    ];
    let kin = Kin::of(&all, OWN, &BTreeSet::from([40]), Some(BOT));
    assert_eq!(kin.tenants, [process(50, OWN, BOT)]);
    assert!(kin.is_entangled, "a kill of all its user has would reach it");
    assert!(!Kin::of(&all, OWN, &BTreeSet::new(), Some(BOT)).is_entangled);
}

#[test]
fn the_number_of_a_job_that_is_over_protects_nobody() {
    let all = [process(OWN, 1, 0), process(40, OWN, BOT), process(41, 20, 0)];
    assert_eq!(tenants(&all, &[40, 41], Some(BOT)), [40]);
}

#[test]
fn root_and_the_supervisors_own_user_are_never_killed_as_a_whole() {
    use TenantScope::{Container, Descendants, User};
    for (scope, owner, own, user) in [
        (Container, Some(BOT), 0, Some(BOT)),
        (User, Some(BOT), 0, Some(BOT)),
        (Container, Some(0), 0, None),
        (Container, Some(0), 7, None),
        (Container, Some(BOT), BOT, None),
        (Container, Some(killer::USER), 0, None),
        (Container, Some(confinement::USER), 0, None),
        (Container, None, 0, None),
        (Descendants, Some(BOT), 0, None),
    ] {
        assert_eq!(
            user_of_its_own(scope, owner, own),
            user,
            "{scope:?} {owner:?} {own}"
        );
    }
}

#[test]
fn what_outlived_its_gateway_is_told_in_one_short_line() {
    let mut outlived = Outlived::default();
    let named = |pid, name: &str| Relative {
        name: name.to_owned(),
        ..process(pid, 1, BOT)
    };
    outlived.add(&[
        named(1, "sh"),
        named(2, "sh"),
        named(3, "a\u{1b}[2J\nsupervisor: all is well"),
    ]);
    outlived.add(&[named(1, "sh")]);
    assert_eq!(
        outlived.to_string(),
        "3 processes: 1 × a\\u{1b}[2J\\nsupervisor: all is well, 2 × sh"
    );
    for pid in 10..1_000 {
        outlived.add(&[named(pid, &format!("n{pid}"))]);
    }
    assert_eq!(outlived.count(), 993);
    assert!(outlived.to_string().len() < 400, "{outlived}");
}

fn without_a_user() -> Tenant {
    Tenant {
        user: None,
        group: None,
        holding: Mutex::default(),
        struck: Mutex::default(),
    }
}

#[test]
fn a_process_that_reads_the_lock_is_none_of_the_bots() {
    let tenant = without_a_user();
    let started = confined_process::UnderWay::start(std::process::Command::new("sleep").arg("60"));
    let (wanted, mut reader) = started.unwrap().unwrap();
    let found = |number| {
        let tenants = tenant.look(BTreeSet::new).kin.tenants;
        tenants.iter().any(|process| process.pid == number)
    };
    let is_counted = found(reader.id());
    drop(wanted);
    reader.wait().unwrap();
    // What is nobody's job is seen by the same look.
    let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let is_other_counted = found(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!((is_counted, is_other_counted), (false, true));
}

#[test]
fn a_job_that_begins_while_the_bot_is_stopped_is_spared() {
    let tenant = without_a_user();
    let jobs = std::cell::RefCell::new(Vec::<std::process::Child>::new());
    // Another one begins as soon as this was answered.
    let ours = || {
        let ours = jobs.borrow().iter().map(std::process::Child::id).collect();
        let job = std::process::Command::new("sleep").arg("60").spawn();
        jobs.borrow_mut().push(job.unwrap());
        ours
    };
    let looks: Vec<_> = (0..3).map(|_| tenant.look(ours).kin.tenants).collect();
    let jobs = jobs.into_inner();
    let is_job = |process: &Relative| jobs.iter().any(|job| job.id() == process.pid);
    let stopped = looks.iter().flatten().filter(|process| is_job(process));
    let stopped = stopped.count();
    for mut job in jobs {
        job.kill().unwrap();
        job.wait().unwrap();
    }
    assert_eq!(stopped, 0);
}
