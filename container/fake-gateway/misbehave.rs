//! How the real gateway says no, and how it dies, in its own words.

use std::fs;

use serde_json::json;

use crate::FakeError;
use crate::rpc::OWNER;

/// What is said about a config with a key nobody knows.
pub(crate) fn reject(state: &str) {
    println!("2026-11-22T22:14:10.420+00:00 [gateway] loading configuration…");
    eprintln!(
        "2026-11-22T22:14:13.368+00:00 Gateway failed to start: Invalid config at {state}/openclaw.json:"
    );
    eprintln!("<root>: Unrecognized key: \"foo\"");
    eprintln!("Run \"openclaw doctor --fix\" to repair, then retry.");
}

/// Takes the lock on the state, and says who had it before.
pub(crate) fn lock(state: &str, port: u64) -> Result<(), FakeError> {
    let directory = format!("{state}/tmp/openclaw-{}", rustix::process::geteuid().as_raw());
    fs::create_dir_all(&directory)?;
    let before = fs::read_dir(&directory)?.count();
    println!("{before} locks were there");
    let lock = json!({ "pid": std::process::id(), "ownerId": OWNER, "port": port });
    Ok(fs::write(
        format!("{directory}/gateway.state.lock"),
        lock.to_string(),
    )?)
}

/// Dies as V8 does when its heap is full.
pub(crate) fn fill_the_heap() -> ! {
    eprintln!("<--- Last few GCs --->");
    eprintln!(
        "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory"
    );
    for frame in 0..50 {
        eprintln!("{frame}: 0x{frame:x} node::Abort() [node]");
    }
    std::process::abort()
}
