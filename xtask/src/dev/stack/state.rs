//! The directory in which a local system keeps what outlives a run.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moltworker_core::settings as names;
use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};

use crate::dev::keys::write_once;

/// Files of kept keys.
const SESSION: &str = "session";
const BACKUP: &str = "backup";
const OPERATOR: &str = "operator";

/// A state directory that belongs to this process until it is dropped.
pub(super) struct State {
    dir: PathBuf,
    worker_name: String,
    _lock: File,
}

/// What the Worker is told.
pub(super) struct Settings<'a> {
    pub(super) public_url: &'a str,
    pub(super) repository_url: &'a str,
    pub(super) supabase_url: &'a str,
    pub(super) anon_key: &'a str,
    pub(super) jwt_secret: &'a str,
    pub(super) model_base_url: &'a str,
    pub(super) model_id: &'a str,
    /// Further ones, by name.
    pub(super) more: &'a [(String, String)],
}

impl State {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let lock = File::create(dir.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!(
                "another `cargo xtask dev` runs with the state in {}; stop it, or give this one its own with --state",
                dir.display()
            );
        }
        Ok(Self {
            worker_name: worker_name(&dir),
            dir,
            _lock: lock,
        })
    }

    /// The name the Worker runs under. It is part of its containers' names, so each state directory has its
    /// own: two systems on one machine can be told apart, and what an earlier run left is found again.
    pub(super) fn worker_name(&self) -> &str {
        &self.worker_name
    }

    /// Where wrangler's local R2, D1 and Durable Objects are.
    pub(super) fn bindings(&self) -> PathBuf {
        self.dir.join("wrangler")
    }

    /// Where wrangler's output goes.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("wrangler.log")
    }

    /// Where wrangler keeps its own debug logs.
    pub(super) fn wrangler_logs(&self) -> PathBuf {
        self.dir.join("wrangler-logs")
    }

    /// Writes the Worker's settings, readable by this user only, and says where.
    pub(super) fn write_settings(&self, settings: &Settings<'_>) -> Result<PathBuf> {
        let session_key = self.kept_key(SESSION)?;
        let backup_key = self.kept_key(BACKUP)?;
        let operator_token = self.kept_key(OPERATOR)?;
        let path = self.dir.join("worker.env");
        let mut text = String::new();
        let more = settings.more.iter();
        let more = more.map(|(name, value)| (name.as_str(), value.as_str()));
        let own = [
            (names::PUBLIC_URL.name, settings.public_url),
            (names::SUPABASE_URL.name, settings.supabase_url),
            (names::SUPABASE_ANON_KEY.name, settings.anon_key),
            (names::SUPABASE_JWT_SECRET.name, settings.jwt_secret),
            (names::SESSION_KEY.name, session_key.as_str()),
            (names::BACKUP_KEY.name, backup_key.as_str()),
            (names::REPOSITORY_URL.name, settings.repository_url),
            (names::REPOSITORY_OPERATOR_TOKEN.name, operator_token.as_str()),
            // Both played by the local identity provider.
            (names::OAUTH_PROVIDERS.name, "github,google"),
            (names::MODEL_BASE_URL.name, settings.model_base_url),
            (names::MODEL_ID.name, settings.model_id),
        ];
        for (name, value) in own.into_iter().chain(more) {
            if value.contains(['\'', '\n']) {
                bail!("{name} has a quote or a line break, which a settings file cannot hold");
            }
            text.push_str(&format!("{name}='{value}'\n"));
        }
        fs::remove_file(&path).ok();
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }

    /// What seals people's session cookies.
    pub(super) fn session_key(&self) -> Result<String> {
        self.kept_key(SESSION)
    }

    /// What encrypts the backups of this state's bots.
    pub(super) fn backup_key(&self) -> Result<String> {
        self.kept_key(BACKUP)
    }

    /// What opens their repositories to the developer.
    pub(super) fn operator_token(&self) -> Result<String> {
        self.kept_key(OPERATOR)
    }

    /// A random key, kept: a restart signs nobody out and still reads its backups.
    fn kept_key(&self, purpose: &str) -> Result<String> {
        let path = self.dir.join(format!("{purpose}.key"));
        if !path.exists() {
            let mut key = [0; 32];
            OsRng.fill_bytes(&mut key);
            write_once(&path, STANDARD.encode(key).as_bytes())?;
        }
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The configuration to run: the repository's own, or a copy of it with another image.
    pub(super) fn config(&self, root: &Path, dockerfile: Option<&Path>) -> Result<PathBuf> {
        let original = root.join("wrangler.toml");
        let Some(dockerfile) = dockerfile else {
            return Ok(original);
        };
        let text =
            fs::read_to_string(&original).with_context(|| format!("cannot read {}", original.display()))?;
        let copy = self.dir.join("wrangler.toml");
        fs::write(&copy, with_image(&text, root, dockerfile)?)?;
        Ok(copy)
    }
}

fn worker_name(dir: &Path) -> String {
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    let start: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("moltbot-local-{start}")
}

/// The configuration with another image, and every path in it made independent of where it lies.
fn with_image(text: &str, root: &Path, dockerfile: &Path) -> Result<String> {
    let mut config: toml::Table = text.parse().context("wrangler.toml is malformed")?;
    let absolute = |value: &mut toml::Value| {
        if let Some(path) = value.as_str() {
            *value = root.join(path).display().to_string().into();
        }
    };
    config.get_mut("main").map(absolute);
    if let Some(build) = config.get_mut("build").and_then(toml::Value::as_table_mut) {
        build.insert("cwd".into(), root.display().to_string().into());
        for dir in build
            .get_mut("watch_dir")
            .and_then(toml::Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            absolute(dir);
        }
    }
    let tables = |config: &mut toml::Table, list: &str, change: &dyn Fn(&mut toml::Table)| {
        let entries = config.get_mut(list).and_then(toml::Value::as_array_mut);
        entries
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_table_mut)
            .for_each(change);
    };
    tables(&mut config, "d1_databases", &|database| {
        database.get_mut("migrations_dir").map(absolute);
    });
    if let Some(assets) = config.get_mut("assets").and_then(toml::Value::as_table_mut) {
        assets.get_mut("directory").map(absolute);
    }
    tables(&mut config, "containers", &|container| {
        container.insert("image".into(), dockerfile.display().to_string().into());
    });
    Ok(toml::to_string(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const SETTINGS: Settings<'_> = Settings {
        public_url: "http://localhost:1",
        repository_url: "http://host.docker.internal:1",
        supabase_url: "http://127.0.0.1:2",
        anon_key: "anon",
        jwt_secret: "a-secret-of-thirty-two-characters",
        model_base_url: "http://host.docker.internal:3/v1",
        model_id: "local-canned",
        more: &[],
    };

    #[test]
    fn the_worker_accepts_the_settings_it_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let more = [("SLEEP_AFTER".to_owned(), "40s".to_owned())];
        let settings = Settings {
            more: &more,
            ..SETTINGS
        };
        let path = state.write_settings(&settings).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(line.trim_matches('\'').to_owned())
        };
        let read = names::Settings::read(value).unwrap();
        assert_eq!(read.public.as_str(), SETTINGS.public_url);
        assert_eq!(read.rules.sleep_after_ms, Some(40_000));
        assert_eq!(read.offered_model.unwrap().base_url, SETTINGS.model_base_url);

        assert_eq!(value("BACKUP_KEY"), state.backup_key().ok());
        assert_eq!(value("REPOSITORY_OPERATOR_TOKEN"), state.operator_token().ok());
        let keys =
            ["SESSION_KEY", "BACKUP_KEY", "REPOSITORY_OPERATOR_TOKEN"].map(|name| value(name).unwrap());
        assert!(keys[0] != keys[1] && keys[1] != keys[2]);
        state.write_settings(&SETTINGS).unwrap();
        let again = fs::read_to_string(&path).unwrap();
        for key in keys {
            assert!(
                again.contains(&key),
                "a restart signs nobody out and still reads its backups"
            );
        }
    }

    #[test]
    fn a_multiline_setting_value_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        for bad in ["it's", "a\nSESSION_KEY=x"] {
            assert!(
                state
                    .write_settings(&Settings {
                        model_id: bad,
                        ..SETTINGS
                    })
                    .is_err()
            );
        }
    }

    #[test]
    fn a_state_directory_is_locked_and_has_its_own_name() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = State::open(one.path()).unwrap();
        assert!(
            State::open(one.path())
                .err()
                .unwrap()
                .to_string()
                .contains("--state")
        );
        assert_ne!(
            state.worker_name(),
            State::open(other.path()).unwrap().worker_name()
        );
        let name = state.worker_name().to_owned();
        drop(state);
        assert_eq!(State::open(one.path()).unwrap().worker_name(), name);
    }

    #[test]
    fn another_image_changes_the_image_and_where_paths_start() {
        let text = include_str!("../../../../wrangler.toml");
        let changed = with_image(text, Path::new("/repo"), Path::new("/tmp/Dockerfile")).unwrap();
        let changed: toml::Table = changed.parse().unwrap();
        assert_eq!(changed["main"].as_str(), Some("/repo/build/index.js"));
        assert_eq!(changed["build"]["cwd"].as_str(), Some("/repo"));
        assert_eq!(changed["build"]["watch_dir"][0].as_str(), Some("/repo/src"));
        assert_eq!(
            changed["d1_databases"][0]["migrations_dir"].as_str(),
            Some("/repo/migrations")
        );
        assert_eq!(
            changed["assets"]["directory"].as_str(),
            Some("/repo/admin-ui/dist")
        );
        assert_eq!(
            changed["containers"][0]["image"].as_str(),
            Some("/tmp/Dockerfile")
        );
        let original: toml::Table = text.parse().unwrap();
        assert_eq!(
            changed["containers"][0]["max_instances"],
            original["containers"][0]["max_instances"]
        );
        assert_eq!(changed["migrations"], original["migrations"]);
    }
}
