//! What the supervisor is told at its start, read once and in one place.
//!
//! The Sandbox says whose bot this is ([`RunSettings`]). Where things lie is fixed by the image; the few
//! variables below move them, so that the same binary runs outside a container:
//!
//! | variable | default |
//! |---|---|
//! | `MOLTBOT_HOME` | `/data/moltbot` |
//! | `MOLTBOT_GATEWAY_PROGRAM` | `/usr/local/bin/node` |
//! | `MOLTBOT_GATEWAY_PACKAGE` | `/opt/openclaw/node_modules/openclaw/package.json` |
//! | `MOLTBOT_GATEWAY_ARGS` (split at white space) | `/opt/openclaw/node_modules/openclaw/openclaw.mjs gateway` |
//! | `MOLTBOT_GATEWAY_PORT` | 18789 |
//! | `MOLTBOT_INGRESS_ADDRESS` | `0.0.0.0:8080` |
//! | `MOLTBOT_CONTROL_ADDRESS` | `0.0.0.0:8081` |
//! | `MOLTBOT_HOLD_MS` | 75000 |
//! | `MOLTBOT_STOP_GRACE_MS` | 25000 |
//! | `MOLTBOT_START_DEADLINE_MS` | 150000 |
//! | `MOLTBOT_PROBE_EVERY_MS` | 10000 |
//! | `MOLTBOT_PROBE_PATIENCE_MS` | 10000 |
//! | `MOLTBOT_CRASH_LOOP_FAILURES` | 5 |
//! | `MOLTBOT_CRASH_LOOP_WINDOW_MS` | 900000 |
//! | `MOLTBOT_RESTORE_DEADLINE_MS` | 1800000 |
//! | `MOLTBOT_SAVE_DEADLINE_MS` | 60000 |
//! | `MOLTBOT_SNAPSHOT_SETTLE_MS` | 5000 |
//! | `MOLTBOT_SNAPSHOT_SPACING_MS` | 60000 |
//! | `MOLTBOT_REPOSITORY_PATIENCE_MS` | 30000 |
//! | `MOLTBOT_JOB_PATIENCE_MS` | 900000 |
//! | `MOLTBOT_RENEW_EVERY_MS` | 1200000 |
//! | `MOLTBOT_RENEW_AGAIN_MS` | 60000 |

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use moltworker_core::backup::schedule;
use moltworker_core::bot::gateway::GatewayRules;
use moltworker_core::wire::run::{BadRunSetting, CONTROL_PORT, INGRESS_PORT, RunSettings};
use rustix::process::{Gid, Uid};
use serde::Deserialize;

const HOME: &str = "/data/moltbot";
const GATEWAY_PROGRAM: &str = "/usr/local/bin/node";
const GATEWAY_ARGS: &str = "/opt/openclaw/node_modules/openclaw/openclaw.mjs gateway";
/// Says which version of the gateway is installed.
const GATEWAY_PACKAGE: &str = "/opt/openclaw/node_modules/openclaw/package.json";
const GATEWAY_PORT: u16 = 18789;
/// How long a request waits for a gateway that is not ready. Longer than a start takes on half a core (45 s), so
/// that a restart loses none; shorter than the 100 s after which the edge gives up, so that the caller reads our
/// reason and not somebody's time-out.
const HOLD: Duration = Duration::from_secs(75);
/// How long the repository may take to begin an answer. A Durable Object and R2 are behind it: seconds at most.
const REPOSITORY_DEADLINE: Duration = Duration::from_secs(30);
/// How long a backup job may go without any progress. One request with a body that just fits its times takes five minutes at
/// most, and whatever else is quiet for long, a database that is copied and checked for example, reads and writes.
const JOB_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The repository's token of an idle bot is renewed this often. It lives for an hour: two further attempts fit in.
const RENEW_EVERY: Duration = Duration::from_secs(20 * 60);
/// A renewal that failed is tried again after this, until one works. One that is missed for good costs the run
/// everything it would have saved; one a minute costs the repository nothing.
const RENEW_AGAIN: Duration = Duration::from_secs(60);
const MIN_PROBE: Duration = Duration::from_millis(50);
/// User and group `moltbot` of the image.
const MOLTBOT_ID: u32 = 1500;
/// Variables of the container that the gateway also needs: where certificates and the time zone are.
const PASSED_ON: [&str; 4] = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ"];

/// Everything the supervisor is told.
pub(crate) struct Settings {
    /// What the Sandbox said.
    pub(crate) run: RunSettings,
    /// The bot's home, `HOME` of the gateway.
    pub(crate) home: PathBuf,
    /// The program that is the gateway.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// The file that says its version.
    pub(crate) package: PathBuf,
    /// Where the gateway listens, on loopback.
    pub(crate) gateway: SocketAddr,
    /// Where the owner's traffic comes in.
    pub(crate) ingress: SocketAddr,
    /// Where orders come in.
    pub(crate) control: SocketAddr,
    /// How long a request waits for a gateway that is not ready.
    pub(crate) hold: Duration,
    /// How its life is led.
    pub(crate) rules: GatewayRules,
    /// When snapshots are taken.
    pub(crate) snapshots: schedule::SnapshotRules,
    /// How long the repository may take to begin an answer.
    pub(crate) repository_patience: Duration,
    /// How long a backup job may go without any progress.
    pub(crate) job_patience: Duration,
    /// How often the repository's token is renewed where nothing else does it.
    pub(crate) renew_every: Duration,
    /// How soon a renewal that failed is tried again.
    pub(crate) renew_again: Duration,
    /// Variables the gateway gets as the container has them.
    pub(crate) passed_on: Vec<(&'static str, String)>,
    /// Who the gateway runs as; `None` when the supervisor is not root and cannot choose.
    pub(crate) owner: Option<Owner>,
}

/// The user and group that own a bot's home.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    /// User id.
    pub(crate) uid: Uid,
    /// Group id.
    pub(crate) gid: Gid,
}

impl Settings {
    /// Which version of the gateway is installed, where its package says so.
    pub(crate) fn installed_version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Package {
            version: String,
        }
        let text = std::fs::read(&self.package).ok()?;
        let package: Package = serde_json::from_slice(&text).ok()?;
        Some(package.version)
    }

    /// Reads the environment; `get` looks one variable up.
    ///
    /// # Errors
    /// The first variable that is missing or malformed.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadRunSetting> {
        let text = |variable, default: &str| get_or(&get, variable, default);
        let everywhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let gateway_port = parsed(&get, "MOLTBOT_GATEWAY_PORT", GATEWAY_PORT, "a port number")?;
        Ok(Self {
            run: RunSettings::from_env(&get)?,
            home: text("MOLTBOT_HOME", HOME).into(),
            program: text("MOLTBOT_GATEWAY_PROGRAM", GATEWAY_PROGRAM).into(),
            args: text("MOLTBOT_GATEWAY_ARGS", GATEWAY_ARGS)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            package: text("MOLTBOT_GATEWAY_PACKAGE", GATEWAY_PACKAGE).into(),
            gateway: (Ipv4Addr::LOCALHOST, gateway_port).into(),
            ingress: parsed(
                &get,
                "MOLTBOT_INGRESS_ADDRESS",
                everywhere(INGRESS_PORT),
                "address:port",
            )?,
            control: parsed(
                &get,
                "MOLTBOT_CONTROL_ADDRESS",
                everywhere(CONTROL_PORT),
                "address:port",
            )?,
            hold: milliseconds(&get, "MOLTBOT_HOLD_MS", HOLD)?,
            rules: rules(&get)?,
            snapshots: schedule::SnapshotRules {
                settle: milliseconds(&get, "MOLTBOT_SNAPSHOT_SETTLE_MS", schedule::SETTLE)?,
                spacing: milliseconds(&get, "MOLTBOT_SNAPSHOT_SPACING_MS", schedule::SPACING)?,
            },
            repository_patience: milliseconds(&get, "MOLTBOT_REPOSITORY_PATIENCE_MS", REPOSITORY_DEADLINE)?,
            job_patience: milliseconds(&get, "MOLTBOT_JOB_PATIENCE_MS", JOB_PATIENCE)?,
            renew_every: milliseconds(&get, "MOLTBOT_RENEW_EVERY_MS", RENEW_EVERY)?,
            renew_again: milliseconds(&get, "MOLTBOT_RENEW_AGAIN_MS", RENEW_AGAIN)?,
            passed_on: PASSED_ON
                .iter()
                .filter_map(|name| get(name).map(|value| (*name, value)))
                .collect(),
            owner: rustix::process::geteuid().is_root().then(|| Owner {
                uid: Uid::from_raw(MOLTBOT_ID),
                gid: Gid::from_raw(MOLTBOT_ID),
            }),
        })
    }
}

fn rules(get: &impl Fn(&str) -> Option<String>) -> Result<GatewayRules, BadRunSetting> {
    let rules = GatewayRules::default();
    Ok(GatewayRules {
        start_deadline: milliseconds(get, "MOLTBOT_START_DEADLINE_MS", rules.start_deadline)?,
        stop_grace: milliseconds(get, "MOLTBOT_STOP_GRACE_MS", rules.stop_grace)?,
        // A probe after the other without a pause would be all the gateway has to do.
        probe_every: milliseconds(get, "MOLTBOT_PROBE_EVERY_MS", rules.probe_every)?.max(MIN_PROBE),
        probe_patience: milliseconds(get, "MOLTBOT_PROBE_PATIENCE_MS", rules.probe_patience)?,
        failures: parsed(get, "MOLTBOT_CRASH_LOOP_FAILURES", rules.failures, "a number")?,
        window: milliseconds(get, "MOLTBOT_CRASH_LOOP_WINDOW_MS", rules.window)?,
        restore_deadline: milliseconds(get, "MOLTBOT_RESTORE_DEADLINE_MS", rules.restore_deadline)?,
        save_deadline: milliseconds(get, "MOLTBOT_SAVE_DEADLINE_MS", rules.save_deadline)?,
    })
}

fn get_or(get: &impl Fn(&str) -> Option<String>, variable: &str, default: &str) -> String {
    get(variable)
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| default.to_owned())
}

fn parsed<T: FromStr>(
    get: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
    default: T,
    form: &str,
) -> Result<T, BadRunSetting> {
    match get(variable).filter(|value| !value.is_empty()) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| BadRunSetting {
            variable,
            reason: format!("is not {form}"),
        }),
    }
}

fn milliseconds(
    get: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
    default: Duration,
) -> Result<Duration, BadRunSetting> {
    let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
    parsed(get, variable, default, "a number of milliseconds").map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn env(extra: &[(&str, &str)]) -> BTreeMap<String, String> {
        [
            ("MOLTBOT_USER_ID", "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20"),
            ("MOLTBOT_RUN", "1"),
            ("MOLTBOT_CONTROL_TOKEN", "0123456789abcdef0123456789abcdef"),
            ("MOLTBOT_ALLOWED_ORIGINS", "https://bots.example.com"),
        ]
        .iter()
        .chain(extra)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
    }

    #[test]
    fn default_settings_are_valid_in_the_image() {
        let env = env(&[]);
        let settings = Settings::from_env(|name| env.get(name).cloned()).ok().unwrap();
        assert_eq!(settings.ingress.port(), INGRESS_PORT);
        assert_eq!(settings.control.port(), CONTROL_PORT);
        assert!(settings.gateway.ip().is_loopback());
        assert_eq!(settings.rules, GatewayRules::default());
        assert_eq!(settings.args.last().map(String::as_str), Some("gateway"));
    }

    #[test]
    fn a_malformed_variable_is_named() {
        for variable in [
            "MOLTBOT_GATEWAY_PORT",
            "MOLTBOT_INGRESS_ADDRESS",
            "MOLTBOT_CONTROL_ADDRESS",
            "MOLTBOT_HOLD_MS",
            "MOLTBOT_STOP_GRACE_MS",
            "MOLTBOT_START_DEADLINE_MS",
            "MOLTBOT_PROBE_EVERY_MS",
            "MOLTBOT_PROBE_PATIENCE_MS",
            "MOLTBOT_CRASH_LOOP_FAILURES",
            "MOLTBOT_CRASH_LOOP_WINDOW_MS",
            "MOLTBOT_RESTORE_DEADLINE_MS",
            "MOLTBOT_SAVE_DEADLINE_MS",
            "MOLTBOT_SNAPSHOT_SETTLE_MS",
            "MOLTBOT_SNAPSHOT_SPACING_MS",
            "MOLTBOT_REPOSITORY_PATIENCE_MS",
            "MOLTBOT_JOB_PATIENCE_MS",
            "MOLTBOT_RENEW_EVERY_MS",
            "MOLTBOT_RENEW_AGAIN_MS",
            "MOLTBOT_RUN",
        ] {
            let env = env(&[(variable, "x")]);
            let error = Settings::from_env(|name| env.get(name).cloned()).err().unwrap();
            assert_eq!(error.variable, variable);
        }
    }
}
