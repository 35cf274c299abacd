//! The local identity provider: speaks what Supabase Auth speaks, for the people in `people.rs`.
//!
//! It exists so that signing in can be tried and tested without a project and without the internet. What
//! it answers was compared with the sources of the real server, error texts included; it is never deployed.

mod detour;
mod error;
mod factors;
mod routes;
mod test_control;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, RwLock};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::net::TcpListener;

use super::flows::Flows;
use super::keys::Keys;
use super::people::{PEOPLE, Person};
use super::sessions::Sessions;
use super::{listen, token};
use test_control::TestControl;

/// Where the provider listens unless that port is taken: the real server's own.
const PREFERRED_PORT: u16 = 9999;
const ISSUER_FILE: &str = "issuer";

/// Where the local project keeps its keys.
pub(crate) fn default_dir(root: &Path) -> PathBuf {
    root.join(".dev/identity")
}

/// The issuer the provider with these keys last ran as, so that a token can be made while it does not run.
pub(crate) fn last_issuer(dir: &Path) -> Result<String> {
    let path = dir.join(ISSUER_FILE);
    if !path.exists() {
        return Ok(issuer(&url(PREFERRED_PORT)));
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn issuer(url: &str) -> String {
    format!("{url}/auth/v1")
}

/// A provider that has a port and can be served.
pub(crate) struct Identity {
    listener: TcpListener,
    project: Project,
    url: String,
}

/// What the handlers share.
struct Project {
    keys: RwLock<Keys>,
    issuer: String,
    anon_key: String,
    /// The public key of the newer kind, which is no token.
    publishable_key: String,
    jwt_secret: String,
    /// Seconds for which an access token is valid.
    token_lifetime: i64,
    sessions: Mutex<Sessions>,
    flows: Mutex<Flows>,
    factors: Mutex<factors::Factors>,
    /// A host that people may be led back to besides this machine's.
    redirect_host: Option<String>,
    test_control: Option<Arc<TestControl>>,
}

impl Identity {
    /// Takes the wanted port; without a wish the usual one if it is free, else any.
    pub(crate) async fn bind(dir: &Path, port: Option<u16>, token_lifetime: i64) -> Result<Self> {
        let keys = Keys::load_or_create(dir)?;
        let listener = match port {
            Some(port) => listen::on(Ipv4Addr::LOCALHOST, port).await?,
            None => listen::preferring(Ipv4Addr::LOCALHOST, PREFERRED_PORT).await?,
        };
        let url = url(listener.local_addr()?.port());
        let issuer = issuer(&url);
        let path = dir.join(ISSUER_FILE);
        fs::write(&path, &issuer).with_context(|| format!("cannot write {}", path.display()))?;
        let anon_key = token::anon_key(&keys)?;
        let publishable_key = token::publishable_key(&keys);
        let project = Project {
            jwt_secret: keys.hs256_secret().to_owned(),
            keys: RwLock::new(keys),
            issuer,
            anon_key,
            publishable_key,
            token_lifetime,
            sessions: Mutex::default(),
            flows: Mutex::default(),
            factors: Mutex::default(),
            redirect_host: None,
            test_control: None,
        };
        Ok(Self {
            listener,
            project,
            url,
        })
    }

    /// What the Worker is told as `SUPABASE_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The public key every call to the provider must carry.
    pub(crate) fn anon_key(&self) -> &str {
        &self.project.anon_key
    }

    /// What the Worker is told as `SUPABASE_JWT_SECRET`.
    pub(crate) fn jwt_secret(&self) -> &str {
        &self.project.jwt_secret
    }

    /// Answers until the process ends or the caller drops this.
    pub(crate) async fn serve(self) -> Result<()> {
        axum::serve(self.listener, routes::router(Arc::new(self.project)))
            .await
            .context("the identity provider stopped")
    }
}

/// Options of `cargo xtask identity`.
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// Port to listen on; 0 for any free one
    #[arg(long, default_value_t = PREFERRED_PORT)]
    port: u16,
    /// Where the keys are kept, if not in .dev/identity of this repository
    #[arg(long)]
    keys: Option<PathBuf>,
    /// Seconds for which access tokens are valid
    #[arg(long, default_value_t = token::LIFETIME_SECONDS)]
    token_lifetime: i64,
    /// A host that people may be led back to besides this machine's
    #[arg(long)]
    redirect_host: Option<String>,
    /// For tests: has `/test-control` tell what was asked and make things go wrong; stops when stdin closes
    #[arg(long, hide = true)]
    test_control: bool,
}

/// Runs the provider alone until a signal, after one line of JSON that says where it is.
pub(crate) async fn run(root: &Path, args: &IdentityArgs) -> Result<ExitCode> {
    let dir = args.keys.clone().unwrap_or_else(|| default_dir(root));
    let mut identity = Identity::bind(&dir, Some(args.port), args.token_lifetime).await?;
    identity.project.redirect_host.clone_from(&args.redirect_host);
    identity.project.test_control = args.test_control.then(Arc::default);
    let users: Vec<_> = PEOPLE.iter().map(Person::describe).collect();
    println!(
        "{}",
        serde_json::json!({
            "supabaseUrl": identity.url(),
            "anonKey": identity.anon_key(),
            "publishableKey": identity.project.publishable_key,
            "jwtSecret": identity.jwt_secret(),
            "keys": dir,
            "keySet": routes::keys(&identity.project).jwks(),
            "users": users,
        })
    );
    tokio::select! {
        ended = identity.serve() => ended?,
        signal = super::signals::asked_to_stop() => { signal?; }
        () = super::stdin_closed(), if args.test_control => {}
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
