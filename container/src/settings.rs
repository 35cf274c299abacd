//! What the supervisor is told at its start, read once and in one place.
//!
//! The Sandbox says whose bot this is ([`RunSettings`]). All else is fixed by the image and stands here. Of the
//! environment only this is read besides:
//!
//! | variable | default | who sets it |
//! |---|---|---|
//! | `MOLTBOT_HOME` | `/data/moltbot` | the image's build, which starts the gateway once (`container/warm-up.sh`) |
//! | `NODE_EXTRA_CA_CERTS`, `SSL_CERT_DIR`, `SSL_CERT_FILE`, `TZ` | none | whoever makes the image; the gateway gets them as they are |
//!
//! Tests need a gateway of their own, other ports and shorter times: they run another program, `test-supervisor`, which
//! changes these fields before it lives.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use moltworker_core::backup::schedule::SnapshotRules;
use moltworker_core::bot::gateway::GatewayRules;
use moltworker_core::wire::run::{BadRunSetting, CONTROL_PORT, INGRESS_PORT, RunSettings};
use rustix::process::{Gid, Uid};
use serde::Deserialize;

const HOME: &str = "/data/moltbot";
const GATEWAY_PROGRAM: &str = "/usr/local/bin/node";
const GATEWAY_ARGS: [&str; 2] = ["/opt/openclaw/node_modules/openclaw/openclaw.mjs", "gateway"];
/// Says which version of the gateway is installed.
const GATEWAY_PACKAGE: &str = "/opt/openclaw/node_modules/openclaw/package.json";
const GATEWAY_PORT: u16 = 18789;
/// How long a request waits for a gateway that is not ready. Longer than a start takes on half a core (45 s), so
/// that a restart loses none; shorter than the 100 s after which the edge gives up, so that the caller reads our
/// reason and not somebody's time-out.
const HOLD: Duration = Duration::from_secs(75);
/// How long the gateway may take to begin an answer to a request that it has taken. Nobody waits for longer: the edge gives up
/// then.
const ANSWER_DEADLINE: Duration = Duration::from_secs(100);
/// How long the repository may take to begin an answer. A Durable Object and R2 are behind it: seconds at most.
const REPOSITORY_DEADLINE: Duration = Duration::from_secs(30);
/// How long a backup job may go without any progress. One request with a body that just fits its times takes five minutes at
/// most, and whatever else is quiet for long, a database that is copied and checked for example, reads and writes.
const JOB_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// What reading one database may take of processor time, beside what its size does: a thousand times what the gateway's
/// take. A bot may make as many as it likes that take all there is.
const DATABASE_TIME: Duration = Duration::from_secs(10);
/// The repository's token of an idle bot is renewed this often. It lives for an hour: two further attempts fit in.
const RENEW_EVERY: Duration = Duration::from_secs(20 * 60);
/// A renewal that failed is tried again after this, until one works. One that is missed for good costs the run
/// everything it would have saved; one a minute costs the repository nothing.
const RENEW_AGAIN: Duration = Duration::from_secs(60);
/// User and group `moltbot` of the image.
const MOLTBOT_ID: u32 = 1500;
/// Variables of the container that the gateway also needs: where certificates and the time zone are.
const PASSED_ON: [&str; 4] = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZ"];

/// Everything the supervisor is told.
pub struct Settings {
    /// What the Sandbox said.
    pub run: RunSettings,
    /// The bot's home, `HOME` of the gateway.
    pub home: PathBuf,
    /// The program that is the gateway.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The file that says its version.
    pub package: PathBuf,
    /// Where the gateway listens, on loopback.
    pub gateway: SocketAddr,
    /// Where the owner's traffic comes in.
    pub ingress: SocketAddr,
    /// Where orders come in.
    pub control: SocketAddr,
    /// How long a request waits for a gateway that is not ready.
    pub hold: Duration,
    /// How long the gateway may take to begin an answer.
    pub answer_deadline: Duration,
    /// How its life is led.
    pub rules: GatewayRules,
    /// When snapshots are taken.
    pub snapshots: SnapshotRules,
    /// How long the repository may take to begin an answer.
    pub repository_patience: Duration,
    /// How long a backup job may go without any progress.
    pub job_patience: Duration,
    /// What reading one database may take beside what its size does.
    pub database_time: Duration,
    /// How often the repository's token is renewed where nothing else does it.
    pub renew_every: Duration,
    /// How soon a renewal that failed is tried again.
    pub renew_again: Duration,
    /// Variables the gateway gets as the container has them.
    pub passed_on: Vec<(&'static str, String)>,
    /// Who the gateway runs as; `None` when the supervisor is not root and cannot choose.
    pub owner: Option<Owner>,
    /// Which processes are the bot's.
    pub tenant: TenantScope,
}

/// Which processes are a bot's, so that none of them outlives its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantScope {
    /// Everything below the supervisor, and everything that runs as [`Settings::owner`]: in a container nobody else does.
    /// They get a control group of their own, where the kernel lets us make one.
    Container,
    /// The same without a control group.
    User,
    /// What is below the supervisor. On a machine with several supervisors their bots share one user.
    Descendants,
}

/// The user and group that own a bot's home.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// User id.
    pub uid: Uid,
    /// Group id.
    pub gid: Gid,
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
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadRunSetting> {
        let everywhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Ok(Self {
            run: RunSettings::from_env(&get)?,
            home: get("MOLTBOT_HOME")
                .filter(|home| !home.is_empty())
                .unwrap_or_else(|| HOME.to_owned())
                .into(),
            program: GATEWAY_PROGRAM.into(),
            args: GATEWAY_ARGS.map(str::to_owned).into(),
            package: GATEWAY_PACKAGE.into(),
            gateway: (Ipv4Addr::LOCALHOST, GATEWAY_PORT).into(),
            ingress: everywhere(INGRESS_PORT),
            control: everywhere(CONTROL_PORT),
            hold: HOLD,
            answer_deadline: ANSWER_DEADLINE,
            rules: GatewayRules::default(),
            snapshots: SnapshotRules::default(),
            repository_patience: REPOSITORY_DEADLINE,
            job_patience: JOB_PATIENCE,
            database_time: DATABASE_TIME,
            renew_every: RENEW_EVERY,
            renew_again: RENEW_AGAIN,
            passed_on: PASSED_ON
                .iter()
                .filter_map(|name| get(name).map(|value| (*name, value)))
                .collect(),
            owner: rustix::process::geteuid().is_root().then(|| Owner {
                uid: Uid::from_raw(MOLTBOT_ID),
                gid: Gid::from_raw(MOLTBOT_ID),
            }),
            tenant: TenantScope::Container,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

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
    fn nothing_else_of_the_environment_is_read() {
        let env = env(&[("MOLTBOT_HOME", "/elsewhere"), ("TZ", "UTC")]);
        let asked = RefCell::new(BTreeSet::new());
        let settings = Settings::from_env(|name| {
            asked.borrow_mut().insert(name.to_owned());
            env.get(name).cloned()
        });
        let settings = settings.ok().unwrap();
        assert_eq!(settings.home, Path::new("/elsewhere"));
        assert_eq!(settings.passed_on, [("TZ", "UTC".to_owned())]);
        // What the Sandbox says is in no image.
        let said = RefCell::new(BTreeSet::from(["MOLTBOT_HOME".to_owned()]));
        said.borrow_mut().extend(PASSED_ON.map(str::to_owned));
        let run = RunSettings::from_env(|name| {
            said.borrow_mut().insert(name.to_owned());
            env.get(name).cloned()
        });
        assert!(run.is_ok());
        assert_eq!(asked, said);
    }
}
