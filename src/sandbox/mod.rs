//! The Sandbox: the Durable Object `openclaw-<userId>`, one writer of one bot's state.
//!
//! This file only receives; `serve` answers the owner's traffic, `happenings` turns events into state and
//! effects, `container` and `store` are the two things effects touch.

mod container;
mod happenings;
mod serve;
mod store;

use std::cell::RefCell;
use std::rc::Rc;

use futures::channel::oneshot;
use moltworker_core::control::{GatewayPhase, StartTimes};
use moltworker_core::id::UserId;
use moltworker_core::life::{Event, Life};
use moltworker_core::problem::Refusal;
use moltworker_core::run::Run;
use moltworker_core::sandbox::{BotStatus, Health, INTENT_HEADER, Intent, StartPhase};
use moltworker_core::settings::Settings;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::{configuration, log, reply};

/// One user's bot.
#[durable_object(alarm)]
pub struct Sandbox {
    inner: Rc<Inner>,
}

/// What handlers and the watch over a run share. Lives as long as the object is in memory; everything that
/// must outlive it is in the store.
struct Inner {
    state: State,
    env: Env,
    memory: RefCell<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Loaded from the store by the first event.
    life: Option<Life>,
    /// The run somebody already waits for the end of.
    watched: Option<Run>,
    /// What the supervisor last said, of which run.
    heard: Option<(Run, GatewayPhase, StartTimes)>,
    /// Requests that wait for the next change of state.
    waiting: Vec<oneshot::Sender<()>>,
}

impl DurableObject for Sandbox {
    fn new(state: State, env: Env) -> Self {
        Self {
            inner: Rc::new(Inner {
                state,
                env,
                memory: RefCell::default(),
            }),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let inner = &self.inner;
        let intent = request.headers().get(INTENT_HEADER)?;
        match intent.as_deref().and_then(Intent::parse) {
            Some(Intent::Serve) => inner.serve(request).await,
            Some(Intent::Status) => {
                inner.load().await?;
                reply::json(&inner.status())
            }
            Some(Intent::Sleep) => {
                inner.happened(Event::SleepWanted).await?;
                reply::json(&inner.status())
            }
            Some(Intent::Tick) => {
                inner.happened(Event::AlarmRang).await?;
                inner.probe().await;
                reply::json(&inner.status())
            }
            None => reply::problem(Refusal::NotFound, None),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.inner.happened(Event::AlarmRang).await?;
        Response::empty()
    }
}

impl Inner {
    /// Whose bot this is: the object's own name says it.
    fn user(&self) -> worker::Result<UserId> {
        let name = self.state.id().name().unwrap_or_default();
        UserId::from_sandbox_name(&name)
            .map_err(|error| worker::Error::RustError(format!("this object has no Sandbox's name: {error}")))
    }

    /// The settings. The Worker refused the request before it came here if they are not in order, but an
    /// alarm comes without it.
    fn settings(&self) -> worker::Result<Settings> {
        configuration::read(&self.env).map_err(|problems| {
            let names: Vec<_> = problems.iter().map(|problem| problem.setting.name).collect();
            worker::Error::RustError(format!("not configured: {}", names.join(", ")))
        })
    }

    fn container(&self) -> worker::Result<worker::Container> {
        let missing =
            || worker::Error::RustError("the Durable Object class has no container in wrangler.toml".into());
        self.state.container().ok_or_else(missing)
    }

    /// The life as it is in memory; a new one before [`Inner::load`].
    fn life(&self) -> Life {
        self.memory.borrow().life.clone().unwrap_or_else(|| Life::new(0))
    }

    /// The state in words.
    fn status(&self) -> BotStatus {
        let life = self.life();
        let heard = self.memory.borrow().heard.filter(|(run, ..)| *run == life.run);
        let health = match heard {
            Some((_, GatewayPhase::Ready, _)) if life.is_running() => Health::Healthy,
            Some(_) if life.is_running() => Health::Unhealthy,
            _ => Health::Unknown,
        };
        let phase = heard.and_then(|(_, phase, _)| StartPhase::of(phase));
        life.status(health, phase, heard.map(|(.., start)| start))
    }

    /// Asks a running bot's supervisor how it is. No answer makes its health unknown, nothing else.
    async fn probe(&self) {
        let life = self.life();
        if !life.is_running() {
            return;
        }
        let asked = self.ask_supervisor(life.run).await;
        self.memory.borrow_mut().heard = match asked {
            Ok(status) => Some((life.run, status.phase, status.start)),
            Err(error) => {
                log::line("probe-unanswered", &[("run", &life.run), ("reason", &error)]);
                None
            }
        };
    }
}
