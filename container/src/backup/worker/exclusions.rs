//! What of a home is in no snapshot, beside what its owner leaves out (`patterns.rs`). This list is the whole of it.
//!
//! Caches are named one by one, each because it is filled again by itself when it is missing: whatever else lies beside
//! them, or calls itself a cache, may be all there is of it. A virtual environment has a `CACHEDIR.TAG` too.
//!
//! | what | why |
//! |---|---|
//! | sockets, named pipes, devices | they mean nothing elsewhere |
//! | those in [`CACHES`] | as it says there |
//! | `.openclaw/plugin-skills` | links into the gateway's program, made again at its start |
//! | `.openclaw/tmp` | the gateway's locks and temporary files: a restored lock would keep it from starting |
//! | `.openclaw/logs`, `.npm/_logs` | they change all the time, and may repeat what was said in confidence |
//! | `*generation-lock.sqlite`, `*generation-writer.sqlite`, `*reindex-lock.sqlite` below `.openclaw/agents` | locks in the form of a database |
//! | `*.lock` inside a directory `.git` | git's own locks; restored, they would block the repository |
//! | `-wal`, `-shm` and `-journal` of a database that was copied | the copy of the database has what they hold |
//!
//! Everything else is in it, `.git` and other people's `*.lock` files (`package-lock.json`, `Cargo.lock`) included.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Caches by their path below the home.
const CACHES: [&str; 23] = [
    // The files of the gateway's own pages, unpacked at each start.
    ".openclaw/cache",
    // What the gateway compiled; compiled again.
    ".cache/openclaw",
    // Packages from registries: fetched again when they are installed again. What is installed lies elsewhere.
    ".npm/_cacache",
    ".npm/_npx",
    ".cache/pip",
    ".cache/uv",
    ".cache/yarn",
    ".cache/pnpm",
    ".cache/composer",
    // Not its `virtualenvs`: projects run from them.
    ".cache/pypoetry/artifacts",
    ".cache/pypoetry/cache",
    // Programs and headers that npm and node fetch when they are called for.
    ".cache/node",
    ".cache/node-gyp",
    ".cache/typescript",
    // What was compiled from sources that are in the snapshot, or fetched again.
    ".cache/go-build",
    ".cache/ccache",
    ".cache/sccache",
    // Models as they were downloaded, by name and revision. Not the tokens beside them.
    ".cache/huggingface/hub",
    ".cache/huggingface/xet",
    // What desktop libraries compute from fonts, pictures and shaders.
    ".cache/fontconfig",
    ".cache/matplotlib",
    ".cache/mesa_shader_cache",
    ".cache/thumbnails",
];
/// What else is left out by its path, as the table above says.
const PATHS: [&str; 4] = [
    ".openclaw/plugin-skills",
    ".openclaw/tmp",
    ".openclaw/logs",
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
    // Byte by byte: each place of a home is asked for, also while its bot stands still.
    let bytes = path.as_os_str().as_bytes();
    let is_below = |excluded: &str| {
        let rest = bytes.strip_prefix(excluded.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    bytes.starts_with(b".") && CACHES.iter().chain(&PATHS).any(|excluded| is_below(excluded))
        || (is_below(AGENTS) && LOCKS_OF_AGENTS.iter().any(|lock| name.ends_with(lock)))
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
            ".cache/pip/http/a",
            ".cache/huggingface/hub",
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
            ".cache",
            ".cache/huggingface/token",
            ".cache/pypoetry/virtualenvs/mine/bin/python",
            "project/.cache/pip",
            "project/.venv/CACHEDIR.TAG",
        ] {
            assert!(!is_excluded(Path::new(kept)), "{kept}");
        }
    }
}
