//! The bot's config is put in order by a process that has nothing to lose (`container/src/confinement/mod.rs`).
//!
//! What stands in it decides how long a parser takes and how much memory, and should the parser have a fault, anything at
//! all. PID 1 is root and holds the secrets of the run, so it parses none of it: it passes the home on, waits for the text that
//! the file should have, and writes that.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use moltworker_core::wire::config::MAX_CONFIG_BYTES;
use serde::{Deserialize, Serialize};

use crate::confinement::{self, Gap, NotConfined};
use crate::output::Logs;
use crate::settings::Settings;
use crate::supervisor::confined_process;
use crate::supervisor::gateway_config;
use crate::supervisor::home::{HomeWay, MAX_FILE_BYTES, StateDirectory};
use crate::supervisor::platform_settings::PlatformConfig;

/// The argument that makes the supervisor's binary this process.
pub(crate) const SUBCOMMAND: &str = "edit-config";
/// Processor time: a config of 4 MiB takes a fifth of it.
const CPU: Duration = Duration::from_secs(5);
/// So long is waited, beside a whole machine of other work. At a start no gateway runs then, and an order to stop waits as long; who
/// looks at the config or changes it keeps nobody but the next one who does.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Bytes that stand before the text.
const HEAD: u64 = 16;
/// Bytes of a reason that are passed on.
const MAX_REASON: usize = 1_000;
const TOO_MUCH: &str =
    "openclaw.json cannot be read and was left as it is: it takes more time or memory than a config may";

/// Why there is no config for a gateway.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotEdited {
    /// Only its owner can mend it.
    #[error("{0}")]
    Refused(String),
    /// It, or who would read it, is out of reach.
    #[error("{0}")]
    NotRead(String),
}

/// What is wanted of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wanted {
    /// The text it should have.
    Right,
    /// What it says, as JSON.
    Said,
}

/// What such a process is started with; nothing of it is secret.
#[derive(Serialize, Deserialize)]
struct Request {
    wanted: Wanted,
    way: HomeWay,
    owner: Option<(u32, u32)>,
    platform: PlatformConfig,
}

/// What such a process says, once: what it goes on without, and what comes of its work.
#[derive(Debug, PartialEq, Eq)]
struct ConfigAnswer {
    gaps: Vec<Gap>,
    work: Work,
}

#[derive(Debug, PartialEq, Eq)]
enum Work {
    /// The file is right.
    Right,
    /// The text it should have.
    Text(String),
    Refused(String),
    NotRead(String),
}

impl ConfigAnswer {
    /// A byte for each gap, one for the kind, and the text: nothing that has to be parsed.
    fn to_bytes(&self) -> Vec<u8> {
        let (kind, text) = match &self.work {
            Work::Right => (b'=', ""),
            Work::Text(text) => (b':', text.as_str()),
            Work::Refused(reason) => (b'!', reason.as_str()),
            Work::NotRead(reason) => (b'?', reason.as_str()),
        };
        let gaps = Gap::ALL.map(|gap| if self.gaps.contains(&gap) { b'-' } else { b'+' });
        [&gaps[..], &[kind], text.as_bytes()].concat()
    }

    fn from_bytes(said: &[u8]) -> Option<Self> {
        let (gaps, rest) = said.split_at_checked(Gap::ALL.len())?;
        let gaps = Gap::ALL.into_iter().zip(gaps).filter(|(_, byte)| **byte != b'+');
        let (kind, text) = rest.split_first()?;
        let text = std::str::from_utf8(text).ok()?;
        let reason = || {
            text.get(..text.floor_char_boundary(MAX_REASON))
                .unwrap_or_default()
                .to_owned()
        };
        let work = match kind {
            b'=' => Work::Right,
            b':' => Work::Text(text.to_owned()),
            b'!' => Work::Refused(reason()),
            b'?' => Work::NotRead(reason()),
            _ => return None,
        };
        Some(Self {
            gaps: gaps.map(|(gap, _)| gap).collect(),
            work,
        })
    }
}

/// The text that the config should have, or `None` where it is right. What the process had to go on without is told once in a
/// run: the processes that read databases have the same.
///
/// # Errors
/// When there is no config for a gateway.
pub(crate) async fn edited(
    state: &StateDirectory,
    settings: &Settings,
    logs: &Logs,
) -> Result<Option<String>, NotEdited> {
    text(Wanted::Right, state, settings, logs).await
}

/// What the config says, as JSON without spaces, or `None` where there is no file.
///
/// # Errors
/// When it cannot be read, or is larger than a config that is shown.
pub(crate) async fn said(
    state: &StateDirectory,
    settings: &Settings,
    logs: &Logs,
) -> Result<Option<String>, NotEdited> {
    text(Wanted::Said, state, settings, logs).await
}

async fn text(
    wanted: Wanted,
    state: &StateDirectory,
    settings: &Settings,
    logs: &Logs,
) -> Result<Option<String>, NotEdited> {
    let unread = |error: io::Error| NotEdited::NotRead(format!("openclaw.json cannot be read: {error}"));
    let mut answer = ask(wanted, state, settings).await.map_err(unread)?;
    if answer.is_none() {
        // A machine that is short of memory or time ends it as well, and the next try does not meet that again.
        answer = ask(wanted, state, settings).await.map_err(unread)?;
    }
    let answer = answer.ok_or_else(|| NotEdited::Refused(TOO_MUCH.to_owned()))?;
    for gap in answer.gaps {
        logs.say_once(gap.meaning());
    }
    match answer.work {
        Work::Right => Ok(None),
        Work::Text(text) => Ok(Some(text)),
        Work::Refused(reason) => Err(NotEdited::Refused(reason)),
        Work::NotRead(reason) => Err(NotEdited::NotRead(reason)),
    }
}

/// What a process says, or `None` where it does not within its limits.
async fn ask(
    wanted: Wanted,
    state: &StateDirectory,
    settings: &Settings,
) -> io::Result<Option<ConfigAnswer>> {
    let (home, way) = state.way()?;
    let owner = settings
        .owner
        .map(|owner| (owner.uid.as_raw(), owner.gid.as_raw()));
    let request = Request {
        wanted,
        way,
        owner,
        platform: PlatformConfig::new(&settings.run, settings.gateway),
    };
    let most = match wanted {
        Wanted::Right => MAX_FILE_BYTES,
        // Or a reason why not, which is no longer than that.
        Wanted::Said => u64::try_from(MAX_CONFIG_BYTES).unwrap_or(u64::MAX),
    };
    let most = most.saturating_add(HEAD);
    let said = confined_process::said(SUBCOMMAND, &request, home, most, MAX_WAIT).await?;
    Ok(said.and_then(|said| ConfigAnswer::from_bytes(&said)))
}

/// The process: puts the config in order and says what it should be.
pub(crate) fn main() -> ExitCode {
    let Some(request) = confined_process::request::<Request>() else {
        return ExitCode::FAILURE;
    };
    let limits = confinement::Limits {
        cpu: CPU,
        file_bytes: 0,
    };
    let answer = match confinement::confine(request.owner, &limits, || Ok::<(), NotConfined>(())) {
        Ok(((), gaps)) => ConfigAnswer {
            gaps,
            work: work(&request),
        },
        Err(error) => ConfigAnswer {
            gaps: Vec::new(),
            work: Work::NotRead(error.to_string()),
        },
    };
    match io::stdout().lock().write_all(&answer.to_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(request: &Request) -> Work {
    let home = io::stdin().as_fd().try_clone_to_owned();
    let read = home.map_err(|error| error.to_string()).and_then(|home| {
        let state = StateDirectory::open_again(home, &request.way).map_err(|error| error.to_string())?;
        let existing = state
            .read(gateway_config::FILE)
            .map_err(|error| error.to_string())?;
        Ok((state, existing))
    });
    let (state, existing) = match read {
        Ok(read) => read,
        Err(reason) => return Work::NotRead(reason),
    };
    let included = |path: &str| state.read_named(path);
    let text = match request.wanted {
        Wanted::Right => gateway_config::edit(existing.as_deref(), &request.platform, included),
        Wanted::Said => existing.as_deref().map(gateway_config::as_json).transpose(),
    };
    match text {
        Ok(None) => Work::Right,
        Ok(Some(text)) => Work::Text(text),
        Err(refused) => Work::Refused(refused.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_says_arrives_as_it_was_said() {
        for gaps in [vec![], vec![Gap::Filter], Gap::ALL.to_vec()] {
            for work in [
                Work::Right,
                Work::Text("{ a: \"ü\" }\n".to_owned()),
                Work::Refused("no".to_owned()),
                Work::NotRead(String::new()),
            ] {
                let gaps = gaps.clone();
                let answer = ConfigAnswer { gaps, work };
                assert_eq!(ConfigAnswer::from_bytes(&answer.to_bytes()), Some(answer));
            }
        }
    }

    #[test]
    fn what_such_a_process_would_not_say_is_no_answer() {
        for odd in [&b""[..], b"++", b"++x", b"++:\xff"] {
            assert_eq!(ConfigAnswer::from_bytes(odd), None, "{odd:?}");
        }
        let long = [&b"++!"[..], "ü".repeat(4_000).as_bytes()].concat();
        let Some(ConfigAnswer {
            work: Work::Refused(reason),
            ..
        }) = ConfigAnswer::from_bytes(&long)
        else {
            panic!("a reason of any length is one");
        };
        assert!(reason.len() <= MAX_REASON);
    }
}
