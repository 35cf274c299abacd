//! What of a home is in no snapshot. This list is the whole of it.
//!
//! | what | why |
//! |---|---|
//! | sockets, named pipes, devices | they mean nothing elsewhere |
//! | `.openclaw/cache`, `.cache`, `.npm/_cacache`, `.npm/_npx` | made again when they are missing |
//! | `.openclaw/plugin-skills` | links into the gateway's program, made again at its start |
//! | `.openclaw/tmp` | the gateway's locks and temporary files: a restored lock would keep it from starting |
//! | `.openclaw/logs`, `.npm/_logs` | they change all the time, and may repeat what was said in confidence |
//! | `*generation-lock.sqlite`, `*generation-writer.sqlite`, `*reindex-lock.sqlite` below `.openclaw/agents` | locks in the form of a database |
//! | `*.lock` inside a directory `.git` | git's own locks; restored, they would block the repository |
//! | a directory below the home with a `CACHEDIR.TAG` as bford.info/cachedir describes it | its maker says that it is a cache |
//! | `-wal`, `-shm` and `-journal` of a database that was copied | the copy of the database has what they hold |
//!
//! Everything else is in it, `.git` and other people's `*.lock` files (`package-lock.json`, `Cargo.lock`) included.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Directories and files by their path below the home.
const PATHS: [&str; 8] = [
    ".openclaw/cache",
    ".openclaw/plugin-skills",
    ".openclaw/tmp",
    ".openclaw/logs",
    ".cache",
    ".npm/_cacache",
    ".npm/_npx",
    ".npm/_logs",
];
const AGENTS: &str = ".openclaw/agents";
/// Ends of names below [`AGENTS`].
const LOCKS_OF_AGENTS: [&[u8]; 3] = [
    b"generation-lock.sqlite",
    b"generation-writer.sqlite",
    b"reindex-lock.sqlite",
];
const GIT: &str = ".git";
const LOCK: &[u8] = b".lock";
/// The file that marks a directory as a cache, and how it begins.
pub(crate) const CACHE_TAG: &str = "CACHEDIR.TAG";
/// See [`CACHE_TAG`].
pub(crate) const CACHE_TAG_BEGINS: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// What SQLite puts beside a database.
pub(crate) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Those that hold what is not in the database yet, or undo what should not be.
pub(crate) const LOGS: [&str; 2] = ["-wal", "-journal"];

/// Whether `path`, which is below the home, is in no snapshot, judged by its name alone.
pub(crate) fn is_excluded(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let in_git = || {
        path.parent()
            .is_some_and(|parent| parent.iter().any(|part| part == GIT))
    };
    PATHS.iter().any(|excluded| path.starts_with(excluded))
        || (path.starts_with(AGENTS) && LOCKS_OF_AGENTS.iter().any(|lock| name.ends_with(lock)))
        || (name.ends_with(LOCK) && in_git())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_paths_are_excluded() {
        for excluded in [
            ".openclaw/cache",
            ".openclaw/cache/control-ui-assets/a.js",
            ".openclaw/tmp/openclaw-1500/gateway.state.lock",
            ".openclaw/logs/stability/1.json",
            ".openclaw/agents/main/agent/x.generation-lock.sqlite",
            ".openclaw/agents/main/agent/memory-reindex-lock.sqlite",
            "project/.git/index.lock",
            "project/.git/refs/heads/main.lock",
            ".npm/_cacache/index-v5",
        ] {
            assert!(is_excluded(Path::new(excluded)), "{excluded}");
        }
        for kept in [
            "",
            ".openclaw/openclaw.json",
            ".openclaw/agents/main/agent/openclaw-agent.sqlite",
            ".openclaw/workspace/.git/HEAD",
            "project/.git",
            "project/Cargo.lock",
            "project/cache/a",
            "project/generation-lock.sqlite",
            ".npmrc",
            ".cachet",
        ] {
            assert!(!is_excluded(Path::new(kept)), "{kept}");
        }
    }
}
