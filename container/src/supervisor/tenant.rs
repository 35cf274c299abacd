//! The bot's processes, all of them: what its gateway started, under whatever name, parent and session. They are
//! ended when the gateway is, so that nothing of them writes into a home that is saved or restored.
//!
//! A process that is looked up and killed has long started the next one where it wants to. So a kill reaches all
//! at once where it can: by the control group they were put into ([`group`]), else by the user they run as
//! ([`killer`]). One by one is what is left where neither is the bot's alone.
//!
//! And they stand still for a moment while a snapshot is taken of what they have just changed ([`freeze`]).

pub(crate) mod entrance;
mod freeze;
mod group;
pub(crate) mod killer;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};

use self::group::TenantGroup;
use crate::backup::stillness::HoldOrder;
use crate::confinement;
use crate::settings::{Settings, TenantScope};
use crate::supervisor::confined_process;
use crate::supervisor::processes::{self, Relative};
use crate::supervisor::reaper;

/// Between two looks at what is left.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Names that are told: enough to see what it was, and a bot may invent as many as it likes.
const MAX_NAMES: usize = 8;

/// Who the bot's processes are, and how they are reached.
pub(crate) struct Tenant {
    /// The user that nobody but the bot is.
    user: Option<u32>,
    group: Option<TenantGroup>,
    /// What makes them stand still, while something does.
    holding: Mutex<Weak<HoldOrder>>,
    /// What was killed while its gateway still died.
    struck: Mutex<Struck>,
}

/// What was killed at once, and by what.
#[derive(Default)]
struct Struck {
    outlived: Outlived,
    /// Processes of ours that do it.
    killers: BTreeSet<u32>,
}

/// What outlived its gateway and was ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outlived {
    seen: BTreeSet<u32>,
    names: BTreeMap<String, u32>,
}

/// What of the container's processes is whose.
#[derive(Debug, PartialEq, Eq)]
struct Kin {
    tenants: Vec<Relative>,
    /// Whether something of ours would be reached by a kill of all that the bot's user has.
    is_entangled: bool,
}

/// The container's processes at one moment.
struct Look {
    all: Vec<Relative>,
    kin: Kin,
}

impl Tenant {
    /// As the settings have it.
    pub(crate) fn new(settings: &Settings) -> Self {
        let owner = settings.owner.map(|owner| owner.uid.as_raw());
        Self {
            user: user_of_its_own(settings.tenant, owner, getuid().as_raw()),
            group: (settings.tenant == TenantScope::Container)
                .then(|| TenantGroup::make(Path::new("/")))
                .flatten(),
            holding: Mutex::default(),
            struck: Mutex::default(),
        }
    }

    /// The control group that the gateway is to be started in, if there is one.
    pub(crate) fn group(&self) -> Option<&Path> {
        self.group.as_ref().map(TenantGroup::path)
    }

    /// Whose processes there are now. Which are ours is asked for afterwards: one that is seen is known by then.
    fn look(&self, jobs: impl Fn() -> BTreeSet<u32>) -> Look {
        let all = processes::living();
        let mut ours = jobs();
        ours.extend(&self.struck().killers);
        ours.extend(confined_process::under_way());
        let kin = Kin::of(&all, std::process::id(), &ours, self.user);
        Look { all, kin }
    }

    /// Kills every process of the bot at once, and waits for none: hundreds that fight for the machine would keep their
    /// gateway, which is to be killed as well, from dying. [`Tenant::end`] counts them with what it finds.
    pub(crate) fn strike(&self, gateway: u32, jobs: impl Fn() -> BTreeSet<u32>) {
        let Look { mut kin, .. } = self.look(jobs);
        self.kill(&kin);
        // Where it does not start, they are ended when the gateway has.
        let user = self.user.filter(|_| !kin.is_entangled);
        let killer = user.and_then(|user| killer::start(user).ok());
        kin.tenants.retain(|process| process.pid != gateway);
        let mut struck = self.struck();
        struck.killers.extend(killer);
        struck.outlived.add(&kin.tenants);
    }

    fn struck(&self) -> MutexGuard<'_, Struck> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self, kin: &Kin) {
        if let Some(group) = &self.group {
            // Whoever is not reached in this way is in the next.
            let _ = group.kill();
        }
        for process in &kin.tenants {
            if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
                // Gone already is as good as killed.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Ends and collects every process of the bot, and returns when none is left. `jobs` are processes of ours, which
    /// go on with what they have started; they are asked for again and again, because one may begin meanwhile.
    pub(crate) async fn end(&self, jobs: impl Fn() -> BTreeSet<u32>) -> Outlived {
        let mut outlived = std::mem::take(&mut self.struck().outlived);
        let mut killer = None;
        loop {
            reaper::ended();
            let Look { all, kin } = self.look(|| jobs().into_iter().chain(killer).collect());
            if kin.tenants.is_empty() {
                self.struck().killers.clear();
                return outlived;
            }
            outlived.add(&kin.tenants);
            self.kill(&kin);
            if let Some(user) = self.user.filter(|_| !kin.is_entangled) {
                let is_there = all
                    .iter()
                    .any(|process| killer == Some(process.pid) && process.user != user);
                if !is_there {
                    // Without a process for it, the next round tries again.
                    killer = killer::start(user).ok();
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The user whose every process is the bot's: never root, and never ourselves.
fn user_of_its_own(scope: TenantScope, owner: Option<u32>, own: u32) -> Option<u32> {
    match scope {
        TenantScope::Container | TenantScope::User => {
            let not_the_bots = [0, own, killer::USER, confinement::USER];
            owner.filter(|user| !not_the_bots.contains(user))
        }
        TenantScope::Descendants => None,
    }
}

impl Kin {
    /// `own` is the supervisor, `ours` the processes it started for itself.
    fn of(all: &[Relative], own: u32, ours: &BTreeSet<u32>, user: Option<u32>) -> Self {
        let is_users = |process: &Relative| user.is_some_and(|user| process.is_of(user));
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for process in all {
            children.entry(process.parent).or_default().push(process.pid);
        }
        let below = |first: Vec<u32>, without: &BTreeSet<u32>| {
            let (mut found, mut next) = (BTreeSet::new(), first);
            while let Some(pid) = next.pop() {
                if !without.contains(&pid) && found.insert(pid) {
                    next.extend(children.get(&pid).into_iter().flatten());
                }
            }
            found
        };
        // A number may be another process's by now. Ours are our children, and begin with our rights.
        let first = all
            .iter()
            .filter(|process| ours.contains(&process.pid) && process.parent == own && !is_users(process));
        let ours = below(first.map(|process| process.pid).collect(), &BTreeSet::new());
        let descendants = below(children.get(&own).cloned().unwrap_or_default(), &ours);
        let is_tenants = |process: &&Relative| {
            let stranger = process.pid == own || ours.contains(&process.pid);
            !stranger && (descendants.contains(&process.pid) || is_users(process))
        };
        Self {
            tenants: all.iter().filter(is_tenants).cloned().collect(),
            is_entangled: all
                .iter()
                .any(|process| ours.contains(&process.pid) && is_users(process)),
        }
    }
}

impl Outlived {
    fn add(&mut self, processes: &[Relative]) {
        for process in processes {
            if self.seen.insert(process.pid) {
                // Its name is its own choice.
                let name = process.name.escape_default().to_string();
                let is_told = self.names.len() < MAX_NAMES || self.names.contains_key(&name);
                let name = if is_told { name } else { "others".to_owned() };
                let count = self.names.entry(name).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// How many there were, as far as they were seen.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.seen.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Outlived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} processes", self.count())?;
        for (position, (name, count)) in self.names.iter().enumerate() {
            write!(f, "{} {count} × {name}", if position == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
