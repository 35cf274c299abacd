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

/// Processes that do not want to go, each kind in its own way, and that write into the home all the time.
const FIGHTERS: &str = r#"
trap '' TERM HUP INT QUIT
cd "$HOME"
# Stays, and rewrites.
stay() { while :; do echo "$1 stays" > "memory.$1"; rm -f memory; done; }
for i in 1 2 3 4 5 6 7 8; do ( stay $i & ); done
# Starts the next one and ends: no number that is looked up is there any more.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    ( perl -e 'while (1) { exit if fork; open(my $file, ">", "memory"); print $file "hops"; }' & )
done
# Under another name, stopped, and in a session of its own.
cp /bin/sleep "[kworker]"
# Multiplies for as long as the machine lets it, and takes the place of each that is ended.
( ulimit -u 300; setsid perl -e 'while (1) { fork }' & )
( setsid ./"[kworker]" 1000 & )
( setsid sh -c 'kill -STOP $$' & )
"#;

/// Starts them, in sessions of their own and without a parent.
pub(crate) fn fight() -> std::io::Result<()> {
    let fighters = std::process::Command::new("setsid")
        .args(["bash", "-c", FIGHTERS])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()?;
    fighters
        .success()
        .then_some(())
        .ok_or_else(|| std::io::Error::other("they do not start"))
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
