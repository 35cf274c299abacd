//! The supervisor for tests and benchmarks: the one that ships, with other settings where a variable says so.
//!
//! | variable | of [`Settings`] |
//! |---|---|
//! | `TEST_GATEWAY_PROGRAM`, `TEST_GATEWAY_ARGS` (split at white space), `TEST_GATEWAY_PACKAGE` | `program`, `args`, `package` |
//! | `TEST_GATEWAY_PORT`, `TEST_INGRESS_ADDRESS`, `TEST_CONTROL_ADDRESS` | `gateway`, `ingress`, `control` |
//! | `TEST_CRASH_LOOP_FAILURES` | `rules.failures` |
//! | `TEST_TENANT_USER` and `TEST_TENANT_CONTAINER`, a user nobody else on the machine is | `owner`, and with it `tenant` |
//! | those in [`TIMES`], in milliseconds | as they are called |
//!
//! A variable that begins like these and is none of them is refused: a test that sets it tests nothing.

#![expect(clippy::panic, reason = "a test that is set up wrongly has failed")]

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use moltbot_supervisor::{Owner, Settings, TenantScope};
use rustix::process::{Gid, Uid};

type Time = fn(&mut Settings) -> &mut Duration;

const TIMES: [(&str, Time); 13] = [
    ("TEST_HOLD_MS", |all| &mut all.hold),
    ("TEST_ANSWER_DEADLINE_MS", |all| &mut all.answer_deadline),
    ("TEST_STOP_GRACE_MS", |all| &mut all.rules.stop_grace),
    ("TEST_START_DEADLINE_MS", |all| &mut all.rules.start_deadline),
    ("TEST_PROBE_EVERY_MS", |all| &mut all.rules.probe_every),
    ("TEST_PROBE_PATIENCE_MS", |all| &mut all.rules.probe_patience),
    ("TEST_SNAPSHOT_SETTLE_MS", |all| &mut all.snapshots.settle),
    ("TEST_SNAPSHOT_SPACING_MS", |all| &mut all.snapshots.spacing),
    ("TEST_REPOSITORY_PATIENCE_MS", |all| &mut all.repository_patience),
    ("TEST_JOB_PATIENCE_MS", |all| &mut all.job_patience),
    ("TEST_DATABASE_TIME_MS", |all| &mut all.database_time),
    ("TEST_RENEW_EVERY_MS", |all| &mut all.renew_every),
    ("TEST_RENEW_AGAIN_MS", |all| &mut all.renew_again),
];

fn main() -> ExitCode {
    moltbot_supervisor::run(|get| {
        let mut settings = Settings::from_env(get)?;
        // Tests run side by side, and their bots are one user.
        settings.tenant = TenantScope::Descendants;
        for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("TEST_")) {
            set(&mut settings, &name, &value);
        }
        Ok(settings)
    })
}

fn set(settings: &mut Settings, name: &str, value: &str) {
    match name {
        "TEST_GATEWAY_PROGRAM" => settings.program = value.into(),
        "TEST_GATEWAY_ARGS" => settings.args = value.split_whitespace().map(str::to_owned).collect(),
        "TEST_GATEWAY_PACKAGE" => settings.package = value.into(),
        "TEST_GATEWAY_PORT" => settings.gateway.set_port(parsed(name, value)),
        "TEST_INGRESS_ADDRESS" => settings.ingress = parsed(name, value),
        "TEST_CONTROL_ADDRESS" => settings.control = parsed(name, value),
        "TEST_CRASH_LOOP_FAILURES" => settings.rules.failures = parsed(name, value),
        "TEST_TENANT_USER" | "TEST_TENANT_CONTAINER" => {
            let id = parsed(name, value);
            settings.owner = Some(Owner {
                uid: Uid::from_raw(id),
                gid: Gid::from_raw(id),
            });
            settings.tenant = if name == "TEST_TENANT_USER" {
                TenantScope::User
            } else {
                TenantScope::Container
            };
        }
        _ => match TIMES.iter().find(|(time, _)| *time == name) {
            Some((_, time)) => *time(settings) = Duration::from_millis(parsed(name, value)),
            None => panic!("{name} sets nothing"),
        },
    }
}

fn parsed<T: FromStr>(name: &str, value: &str) -> T {
    value
        .parse()
        .unwrap_or_else(|_| panic!("{name} cannot be {value:?}"))
}
