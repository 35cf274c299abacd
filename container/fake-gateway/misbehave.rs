//! How the real gateway says no, and how it dies, in its own words.

use std::fs;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

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

/// The request that is answered by its own body, byte for byte, whatever that is.
const RAW: &[u8] = b"POST /raw ";

/// Whether a connection begins with such a request.
pub(crate) async fn is_raw(stream: &TcpStream) -> Result<bool, FakeError> {
    let mut first = [0; RAW.len()];
    let count = stream.peek(&mut first).await?;
    Ok(first.get(..count) == Some(RAW))
}

/// Answers it and hangs up.
pub(crate) async fn answer_raw(stream: TcpStream) -> Result<(), FakeError> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    stream.write_all(&answer).await?;
    Ok(stream.shutdown().await?)
}
