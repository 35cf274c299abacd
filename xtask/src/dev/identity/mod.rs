//! The local identity provider: speaks what Supabase Auth speaks, for the people in `people.rs`.
//!
//! It exists so that signing in can be tried and tested without a project and without the internet. What
//! it answers was compared with the sources of the real server, error texts included; it is never deployed.

mod answer;
mod authenticate;
mod detour;
mod error;
mod factors;
mod routes;
mod test_control;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::net::TcpListener;

use super::flows::Flows;
use super::issuer::{self, PREFERRED_PORT};
use super::keys::Keys;
use super::people::{PEOPLE, Person};
use super::sessions::Sessions;
use super::{listen, token};
use test_control::TestControl;

const API_KEY_HEADER: &str = "apikey";
const JWKS_PATH: &str = "/.well-known/jwks.json";

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

impl Project {
    /// The sessions are whole after every change, so a panic elsewhere does not make them unusable.
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flows(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn factors(&self) -> MutexGuard<'_, factors::Factors> {
        self.factors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// Takes the wanted port; without one the usual port if it is free, else any.
    pub(crate) async fn bind(dir: &Path, port: Option<u16>, token_lifetime: i64) -> Result<Self> {
        let keys = Keys::load_or_create(dir)?;
        let listener = match port {
            Some(port) => listen::on(Ipv4Addr::LOCALHOST, port).await?,
            None => listen::preferring(Ipv4Addr::LOCALHOST, PREFERRED_PORT).await?,
        };
        let url = issuer::url(listener.local_addr()?.port());
        let issuer = issuer::record(dir, &url)?;
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
    let dir = args.keys.clone().unwrap_or_else(|| issuer::default_dir(root));
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
            "keySet": identity.project.keys().jwks(),
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
