//! PID 1 of a bot's container: starts the gateway as user `moltbot`, brings it back when it dies, stands
//! between it and the world, and leaves nothing behind.
//!
//! Two programs are made of it: `moltbot-supervisor`, which ships, and `test-supervisor`, which is the same with
//! other [`Settings`] where a test wants them.

mod backup;
mod beneath;
mod confinement;
mod control;
mod http;
mod ingress;
mod output;
mod settings;
mod supervisor;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use moltworker_core::bot::gateway::GatewayLifecycle;
use moltworker_core::hex;
use moltworker_core::wire::run::BadRunSetting;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::backup::controller::BackupController;
use crate::backup::launcher::JobLauncher;
use crate::backup::worker::{self, confined};
use crate::control::Control;
use crate::http::activity::Activity;
use crate::http::listener::Port;
use crate::ingress::Ingress;
use crate::ingress::headers;
use crate::output::Logs;
use crate::supervisor::gateway_rpc::Rpc;
use crate::supervisor::quiesce::Quiescence;
use crate::supervisor::run_loop::Supervision;
use crate::supervisor::signals;
use crate::supervisor::status::StatusSources;
use crate::supervisor::tenant::entrance::{self, MAX_CORE_BYTES};
use crate::supervisor::tenant::killer;
use crate::supervisor::{confined_config, locks};

pub use crate::settings::{Owner, Settings, TenantScope};

/// Bad settings: `EX_CONFIG` of sysexits.h.
const BAD_SETTINGS: u8 = 78;

type SupervisorError = Box<dyn std::error::Error>;

/// The program: a supervisor, or one of the processes that it starts for itself. `settings` makes the supervisor's out of
/// the environment, of which it is given a way to look one variable up.
pub fn run<F>(settings: F) -> ExitCode
where
    F: FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<Settings, BadRunSetting>,
{
    match std::env::args().nth(1).as_deref() {
        Some(worker::SUBCOMMAND) => return worker::main(),
        Some(confined::SUBCOMMAND) => return confined::main(),
        Some(confined_config::SUBCOMMAND) => return confined_config::main(),
        Some(locks::SUBCOMMAND) => return locks::main(),
        Some(entrance::SUBCOMMAND) => return entrance::main(),
        Some(killer::SUBCOMMAND) => return killer::main(),
        _ => {}
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    let settings = match settings(&|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(bad) => {
            eprintln!("moltbot-supervisor: {bad}");
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    match live(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("moltbot-supervisor: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// One life of the container, from its first process to its last.
fn live(settings: Settings) -> Result<(), SupervisorError> {
    confine()?;
    let password = password()?;
    let mut secrets = vec![settings.run.control_token.reveal().to_owned(), password.clone()];
    if let Some(repository) = &settings.run.repository {
        secrets.push(repository.token.reveal().to_owned());
        secrets.extend(
            repository
                .passwords
                .iter()
                .map(|password| password.reveal().to_owned()),
        );
    }
    if let Some(secret) = &settings.run.ingress_secret {
        secrets.push(secret.reveal().to_owned());
    }
    let (logs, printer) = Logs::start(secrets, output::print)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let lived = runtime.block_on(supervised(settings, password, Arc::clone(&logs)));
    drop(runtime);
    drop(logs);
    printer.finish();
    lived
}

/// What holds for everything that is started from here on.
fn confine() -> Result<(), SupervisorError> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Those of the supervisor and its jobs would hold secrets as the bot's do.
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(MAX_CORE_BYTES),
            maximum: Some(MAX_CORE_BYTES),
        },
    )?;
    // No set-uid program gives root back to the gateway.
    rustix::thread::set_no_new_privs(true)?;
    // As PID 1 we inherit orphans anyway; elsewhere (a container with another init) by this.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

async fn supervised(settings: Settings, password: String, logs: Arc<Logs>) -> Result<(), SupervisorError> {
    let since = Instant::now();
    let (ask, asked) = signals::listen()?;
    let settings = Arc::new(settings);
    let restore = settings
        .run
        .repository
        .as_ref()
        .map(|repository| repository.restore.clone());
    let (life, first) = GatewayLifecycle::begin(since.elapsed(), settings.rules, restore);
    let (view, seen) = watch::channel(life.view().clone());
    let activity = Activity::new(since);
    let version = Arc::new(OnceLock::new());
    let (backup, backed_up) = watch::channel(None);
    let (saving, unsaved) = watch::channel(false);
    let rpc = Rpc {
        gateway: settings.gateway,
        password: password.clone(),
    };
    let supervision = Supervision::new(
        Arc::clone(&settings),
        rpc.clone(),
        Arc::clone(&logs),
        since,
        life,
        view,
        Arc::clone(&version),
    );
    let latency = supervision.latency.clone();
    let launcher = JobLauncher::new(&settings, &logs, supervision.stillness());
    let backups = BackupController::new(
        &settings,
        launcher.clone(),
        &logs,
        since,
        &version,
        backup,
        saving,
    );

    let ingress = Arc::new(Ingress {
        gateway: settings.gateway,
        view: seen.clone(),
        hold: settings.hold,
        answer_deadline: settings.answer_deadline,
        owner: headers::owner(settings.run.user)?,
        secret: settings.run.ingress_secret.clone(),
        activity: Arc::clone(&activity),
    });
    let ingress = Port::open(settings.ingress, ingress::HEAD_DEADLINE, move |request, open| {
        ingress::handle(Arc::clone(&ingress), request, open)
    });
    let control = Arc::new(Control {
        quiescence: Quiescence::new(rpc.clone(), seen.clone(), Arc::clone(&activity), unsaved),
        account: StatusSources {
            run: settings.run.clone(),
            view: seen,
            since,
            activity,
            version: Arc::clone(&version),
            latency,
            place: settings.home.parent().unwrap_or(&settings.home).to_owned(),
            backup: backed_up,
        },
        logs: Arc::clone(&logs),
        launcher,
        ask,
        settings: Arc::clone(&settings),
        rpc,
        followers: Arc::new(tokio::sync::Semaphore::new(control::MAX_FOLLOWERS)),
        config_turn: tokio::sync::Mutex::new(()),
        looks: tokio::sync::Semaphore::new(control::MAX_LOOKS),
        config_key: random()?,
    });
    let control = Port::open(settings.control, control::HEAD_DEADLINE, move |request, _| {
        control::handle(Arc::clone(&control), request)
    });
    let ingress = ingress.await.map_err(|e| format!("the ingress port: {e}"))?;
    let control = control.await.map_err(|e| format!("the control port: {e}"))?;
    logs.say(&format!(
        "ingress on {}, control on {}",
        ingress.address, control.address
    ));

    if settings.run.ingress_secret.is_none() {
        logs.say("the Sandbox gave no ingress secret: whoever reaches the ingress is taken for it");
    }
    let left = supervision.with_backups(backups).run(first, asked).await;
    tokio::join!(ingress.close(), control.close());
    Ok(left?)
}

/// A password for the gateway's callers inside the container; it lives as long as the supervisor.
fn password() -> Result<String, SupervisorError> {
    Ok(hex::encode(&random()?))
}

fn random() -> Result<[u8; 32], SupervisorError> {
    let mut bytes = [0_u8; 32];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}
