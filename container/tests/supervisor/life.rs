//! Start, death, restart and stop, with real processes.

use std::time::Instant;

use moltworker_core::wire::control::{DRAIN_PATH, ExitReason, GatewayPhase, RESTART_PATH};

use crate::fixture::{Fixture, Setup, USER, ask, authorised, begin, cannot_run, exists, kill, lives};

#[test]
fn the_gateway_gets_what_it_needs_and_nothing_else() {
    let fixture = Fixture::ready();
    let gateway = fixture.gateway();
    assert_eq!(gateway["group"], gateway["pid"], "a process group of its own");
    assert_eq!(gateway["no_new_privs"], "1");
    assert_eq!(gateway["umask"], "0077", "what it writes is its user's alone");
    let core: Vec<_> = gateway["core"].as_str().unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "no core, and no way to ask for one");
    if rustix::process::geteuid().is_root() {
        assert_eq!(gateway["uid"], "1500\t1500\t1500\t1500");
        assert_eq!(gateway["groups"], "");
    } else {
        cannot_run(
            "as whom the gateway runs",
            "only root can start it as somebody else",
        );
    }
    let env = gateway["env"].as_object().unwrap();
    let names: Vec<_> = env.keys().map(String::as_str).collect();
    for name in &names {
        assert!(
            !name.starts_with("MOLTBOT_") && *name != "SECRET_OF_THE_CONTAINER",
            "{name} is not for the gateway"
        );
    }
    assert_eq!(env["HOME"], fixture.home.to_str().unwrap());
    assert_eq!(
        env["OPENCLAW_STATE_DIR"],
        fixture.home.join(".openclaw").to_str().unwrap()
    );
    assert_eq!(env["OPENCLAW_SUPERVISOR_MODE"], "external");
    assert_eq!(env["OPENCLAW_GATEWAY_PORT"], fixture.gateway_port.to_string());
    assert_eq!(
        env["OPENCLAW_GATEWAY_TOKEN"], "",
        "there, so that no file sets it"
    );
    assert_eq!(env["OPENCLAW_GATEWAY_PASSWORD"].as_str().unwrap().len(), 64);
    assert!(
        env["NODE_OPTIONS"]
            .as_str()
            .unwrap()
            .contains("--max-old-space-size=")
    );
}

#[test]
fn the_gateway_is_within_the_limits_of_a_bot() {
    let fixture = Fixture::ready();
    let gateway = fixture.gateway();
    let limit = |name: &str| {
        let words = gateway[name].as_str().unwrap().split_whitespace();
        let mut numbers = words.filter_map(|word| word.parse::<u64>().ok());
        (numbers.next(), numbers.next())
    };
    let (files, most_files) = limit("open_files");
    assert!(
        files <= Some(16_384) && files == most_files,
        "{files:?} {most_files:?}"
    );
    assert!(files >= Some(256), "enough to work with");
    if rustix::process::geteuid().is_root() {
        let (tasks, most_tasks) = limit("processes");
        assert!(
            tasks <= Some(2_048) && tasks == most_tasks,
            "{tasks:?} {most_tasks:?}"
        );
    }
}

#[test]
fn links_in_place_of_the_config_keep_no_bot_from_starting() {
    let fixture = Fixture::start(&Setup {
        config: Some("{ talk: { mine: true } }"),
        ..Setup::default()
    });
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    let (home, config) = (&fixture.home, fixture.home.join(".openclaw/openclaw.json"));
    for (target, is_kept) in [("../dotfiles.json", true), ("/etc/hostname", false)] {
        std::fs::rename(&config, home.join("dotfiles.json")).unwrap();
        std::os::unix::fs::symlink(target, &config).unwrap();
        let before = fixture.status().restarts;
        assert_eq!(authorised(&fixture, &format!("POST {RESTART_PATH}")).status, 202);
        fixture.until("it is back", |status| {
            status.restarts > before && status.phase == GatewayPhase::Ready
        });
        assert!(!config.is_symlink());
        let text: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
        assert_eq!(text["talk"]["mine"] == true, is_kept, "{target}");
    }
}

#[test]
fn no_secret_is_in_an_argument_or_a_log() {
    let fixture = Fixture::ready();
    let gateway = fixture.gateway();
    let password = gateway["env"]["OPENCLAW_GATEWAY_PASSWORD"].as_str().unwrap();
    let token = crate::fixture::TOKEN;
    ask(
        fixture.ingress,
        "POST /say HTTP/1.1",
        format!("PASSWORD and {token} said").as_bytes(),
    );
    let said = fixture.wait_for("the words come out", || {
        Some(fixture.output()).filter(|output| output.contains("said"))
    });
    assert!(said.contains("the password is [hidden]"), "{said}");
    assert!(said.contains("[hidden] and [hidden] said"), "{said}");
    let gateway_pid = gateway["pid"].as_u64().unwrap();
    for pid in [u64::from(fixture.pid()), gateway_pid] {
        let args = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!args.contains(password) && !args.contains(token), "{args}");
    }
    let config = std::fs::read_to_string(fixture.home.join(".openclaw/openclaw.json")).unwrap();
    assert!(!config.contains(password) && config.contains(USER), "{config}");
}

#[test]
fn a_dead_gateway_restarts_and_reports_its_exit_reason() {
    let fixture = Fixture::ready();
    let first = fixture.status().gateway_pid.unwrap();
    kill("KILL", first);
    let status = fixture.until("it is back", |status| {
        status.restarts == 1 && status.phase == GatewayPhase::Ready
    });
    assert_eq!(status.last_exit, Some(ExitReason::Signal(9)));
    assert_ne!(status.gateway_pid, Some(first));
    assert!(status.start.ready_ms.is_some());
    assert_eq!(fixture.get("/headers").status, 200);
    assert!(
        fixture.output().contains("ended with 137"),
        "{}",
        fixture.output()
    );
}

#[test]
fn a_request_waits_while_the_gateway_restarts() {
    let fixture = Fixture::ready();
    let first = fixture.status().gateway_pid.unwrap();
    kill("KILL", first);
    fixture.wait_for("it is gone", || (!exists(first)).then_some(()));
    // Asked while nothing listens: it is held, and answered by the next one.
    assert_eq!(fixture.get("/headers").status, 200);
    assert_eq!(fixture.status().restarts, 1);
}

#[test]
fn a_get_that_crashed_the_gateway_is_retried_once() {
    for method in ["GET", "HEAD"] {
        let fixture = Fixture::ready();
        assert_eq!(
            ask(fixture.ingress, &format!("{method} /die-once HTTP/1.1"), b"").status,
            200
        );
        let asked = format!("asked by {method}");
        fixture.wait_for("both have told of it", || {
            (fixture.output().matches(&asked).count() == 2).then_some(())
        });
        assert_eq!(fixture.status().restarts, 1);
    }
}

#[test]
fn a_post_that_crashed_the_gateway_is_not_retried() {
    for (method, body) in [("POST", &b"x"[..]), ("POST", b""), ("DELETE", b""), ("GET", b"x")] {
        let fixture = Fixture::ready();
        let answer = ask(fixture.ingress, &format!("{method} /die-once HTTP/1.1"), body);
        assert_eq!((answer.status, answer.code().as_str()), (503, "bot-interrupted"));
        fixture.until("it is back", |status| {
            status.restarts == 1 && status.phase == GatewayPhase::Ready
        });
        assert_eq!(
            fixture.output().matches("asked by").count(),
            1,
            "{method} {body:?}"
        );
    }
}

#[test]
fn a_gateway_that_cannot_be_started_is_reported() {
    let fixture = Fixture::start(&Setup {
        program: Some("/no/such/program"),
        ..Setup::default()
    });
    let status = fixture.until("it was tried twice", |status| status.restarts >= 1);
    let Some(ExitReason::NotSpawned(reason)) = status.last_exit else {
        panic!("{:?}", status.last_exit);
    };
    assert!(reason.contains("/no/such/program"), "{reason}");
}

#[test]
fn an_unreadable_config_is_reported_and_not_changed() {
    let broken = "{ gateway: { // unfinished";
    let fixture = Fixture::start(&Setup {
        config: Some(broken),
        ..Setup::default()
    });
    let status = fixture.until("it was tried", |status| status.last_exit.is_some());
    assert!(
        matches!(&status.last_exit, Some(ExitReason::NotSpawned(reason)) if reason.contains("openclaw.json"))
    );
    let path = fixture.home.join(".openclaw/openclaw.json");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    // Once it is repaired the bot comes up by itself, with the owner's keys as they were.
    std::fs::write(&path, "{ talk: { mine: true } }").unwrap();
    fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    let config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(config["talk"]["mine"], true);
    assert_eq!(config["gateway"]["bind"], "loopback");
}

#[test]
fn orphans_are_reaped_without_affecting_the_gateway_exit() {
    let fixture = Fixture::ready();
    let orphans: Vec<u32> = (0..5)
        .map(|_| fixture.get("/orphan").text().parse().unwrap())
        .collect();
    fixture.wait_for("nothing is left of them", || {
        (!orphans.iter().any(|pid| exists(*pid))).then_some(())
    });
    let status = fixture.status();
    assert_eq!(
        (status.phase, status.restarts, status.last_exit),
        (GatewayPhase::Ready, 0, None)
    );
}

#[test]
fn five_hundred_orphans_leave_no_zombie() {
    let fixture = Fixture::ready();
    assert_eq!(fixture.get("/orphans").text(), "500");
    fixture.wait_for("only the gateway is left", || {
        (fixture.children().len() == 1).then_some(())
    });
    assert_eq!(fixture.status().restarts, 0);
}

#[test]
fn a_stop_leaves_no_process_behind() {
    for signal in ["TERM", "INT"] {
        let mut fixture = Fixture::ready();
        let gateway = fixture.status().gateway_pid.unwrap();
        let stray: u32 = fixture.get("/stray").text().parse().unwrap();
        assert!(lives(stray));
        fixture.signal(signal);
        assert_eq!(fixture.ended().code(), Some(0), "{}", fixture.output());
        assert!(!exists(gateway) && !exists(stray));
        assert!(std::net::TcpStream::connect(fixture.ingress).is_err());
    }
}

#[test]
fn a_gateway_that_ignores_sigterm_is_killed() {
    let mut fixture = Fixture::start(&Setup {
        gateway: "--ignore-term --no-rpc",
        env: &[("TEST_STOP_GRACE_MS", "10000")],
        ..Setup::default()
    });
    let status = fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
    fixture.signal("TERM");
    fixture.until("it drains", |status| status.phase == GatewayPhase::Draining);
    let refused = fixture.get("/headers");
    assert_eq!((refused.status, refused.code().as_str()), (503, "bot-stopping"));
    assert_eq!(fixture.ended().code(), Some(0));
    assert!(!exists(status.gateway_pid.unwrap()));
    assert!(
        fixture.output().contains("ended with 137"),
        "{}",
        fixture.output()
    );
}

#[test]
fn a_stop_waits_for_running_work_within_the_drain_budget() {
    for drain in [false, true] {
        let mut fixture = Fixture::start(&Setup {
            env: &[("TEST_STOP_GRACE_MS", "8000")],
            ..Setup::default()
        });
        fixture.until("it is ready", |status| status.phase == GatewayPhase::Ready);
        let _stalled = begin(fixture.ingress, "POST /stall HTTP/1.1");
        fixture.wait_for("the gateway works", || {
            fixture.output().contains("stalling").then_some(())
        });
        let told = Instant::now();
        if drain {
            let answer = authorised(&fixture, &format!("POST {DRAIN_PATH}?grace_ms=6000"));
            assert_eq!(answer.status, 202);
        } else {
            fixture.signal("TERM");
        }
        // Half of the grace, without what it took to read how the gateway calls itself.
        let most = if drain { 3_000 } else { 4_000 };
        assert_eq!(fixture.ended().code(), Some(0), "{}", fixture.output());
        let took = told.elapsed().as_millis();
        let output = fixture.output();
        let asked = output.lines().find_map(|line| {
            let (_, asked) = line.split_once("asked to end within ")?;
            asked.strip_suffix(" ms, 1 requests under way")?.parse().ok()
        });
        let budget: u128 = asked.unwrap_or_else(|| panic!("{output}"));
        assert!((most / 2..=most).contains(&budget), "{budget}");
        assert!(took >= budget, "the work was not waited for");
        // Within its grace: it was not killed.
        assert!(fixture.output().contains("ended with 0"), "{}", fixture.output());
    }
}

#[test]
fn other_signals_are_forwarded_to_the_gateway() {
    let fixture = Fixture::ready();
    fixture.signal("HUP");
    let status = fixture.until("it is back", |status| {
        status.restarts == 1 && status.phase == GatewayPhase::Ready
    });
    assert_eq!(status.last_exit, Some(ExitReason::Signal(1)));
}

#[test]
fn invalid_settings_are_all_named_at_start() {
    let binary = env!("CARGO_BIN_EXE_moltbot-supervisor");
    let output = std::process::Command::new(binary).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "moltbot-supervisor: MOLTBOT_USER_ID: is not set\n");
}
