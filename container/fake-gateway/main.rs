//! Plays the gateway in the tests of the supervisor: listens where its config says, answers probes and
//! the calls of its control plane, echoes, streams, upgrades, and misbehaves when told to.
//!
//! Flags: `--ignore-term` survives SIGTERM; `--never-ready` answers the start-up probe with 503; `--page`
//! answers the other probe with a page; `--no-rpc` has no control plane; `--polls` has a channel that listens
//! by itself; `--agrees-late` takes its time to agree to rest; `--crash` ends at once.

mod churn;
mod misbehave;
mod rpc;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

type FakeError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<BoxBody<Bytes, FakeError>>;

/// What tests look at and pull.
struct Fake {
    never_ready: bool,
    page: bool,
    no_rpc: bool,
    polls: bool,
    agrees_late: bool,
    /// No new work is taken.
    suspended: AtomicBool,
    secret: String,
    /// Its devices, as it answers `device.pair.list`.
    devices: Mutex<Value>,
    /// With which code to end.
    end: mpsc::Sender<u8>,
    /// Requests that will never be answered.
    stalled: AtomicU32,
    deaf: Notify,
    next_event: Notify,
    stream_dropped: Notify,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, FakeError> {
    // A test that is killed leaves no gateway behind.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let args: Vec<String> = std::env::args().collect();
    let flag = |name: &str| args.iter().any(|arg| arg == name);
    if flag("--ignore-term") {
        tokio::spawn(ignore_term()?);
    }
    let password = variable("OPENCLAW_GATEWAY_PASSWORD");
    println!("the password is {password}");
    if flag("--crash") {
        eprintln!("Error: this one crashes\n    at once");
        return Ok(ExitCode::from(1));
    }
    let state = variable("OPENCLAW_STATE_DIR");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(format!("{state}/openclaw.json"))?)?;
    if config.get("foo").is_some() {
        misbehave::reject(&state);
        return Ok(ExitCode::from(78));
    }
    let port = config.pointer("/gateway/port").and_then(Value::as_u64);
    let port = port.ok_or("no port in the config")?;
    misbehave::lock(&state, port)?;
    let address = ("127.0.0.1", u16::try_from(port)?);
    let mut listener = TcpListener::bind(address).await?;
    let (end, mut ends) = mpsc::channel(1);
    let fake = Arc::new(Fake {
        never_ready: flag("--never-ready"),
        page: flag("--page"),
        no_rpc: flag("--no-rpc"),
        polls: flag("--polls"),
        agrees_late: flag("--agrees-late"),
        suspended: AtomicBool::new(false),
        secret: password,
        devices: Mutex::new(rpc::devices()),
        end,
        stalled: AtomicU32::new(0),
        deaf: Notify::new(),
        next_event: Notify::new(),
        stream_dropped: Notify::new(),
    });
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            Some(code) = ends.recv() => return Ok(ExitCode::from(code)),
            () = fake.deaf.notified() => {
                drop(listener);
                tokio::time::sleep(Duration::from_millis(300)).await;
                listener = TcpListener::bind(address).await?;
                continue;
            }
        };
        let fake = Arc::clone(&fake);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&fake), request));
        tokio::spawn(async move {
            if misbehave::is_raw(&stream).await? {
                return misbehave::answer_raw(stream).await;
            }
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await?;
            Ok::<_, FakeError>(())
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fake is told everything by its environment"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn ignore_term() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    Ok(async move { while term.recv().await.is_some() {} })
}

async fn answer(fake: Arc<Fake>, request: Request<Incoming>) -> Result<Answer, FakeError> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/startupz" if fake.never_ready || fake.suspended.load(Ordering::Relaxed) => {
            status(StatusCode::SERVICE_UNAVAILABLE)
        }
        "/startupz" => text(r#"{"ok":true,"status":"started","version":"2026.0.0-fake"}"#),
        "/healthz" if !fake.page => text(r#"{"ok":true,"status":"live"}"#),
        "/api/v1/admin/rpc" if !fake.no_rpc => rpc::call(&fake, request).await?,
        "/process" => text(&process().to_string()),
        "/headers" => text(&headers(&request).to_string()),
        "/echo" => Response::new(request.into_body().map_err(FakeError::from).boxed()),
        // Answers before it has read what is sent, and either closes the connection or reads no further.
        "/nothing" => status(StatusCode::NOT_FOUND),
        "/nothing/held" => {
            let unread = request.into_body();
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(unread);
            });
            status(StatusCode::NOT_FOUND)
        }
        "/bytes" => Response::new(Pattern::from_query(request.uri().query()).map_err(never).boxed()),
        "/events" => events(fake),
        "/events/next" => {
            fake.next_event.notify_one();
            text("")
        }
        "/events/dropped" => {
            fake.stream_dropped.notified().await;
            text("dropped")
        }
        "/deaf" => {
            fake.deaf.notify_one();
            text("")
        }
        "/stall" => {
            println!("stalling");
            fake.stalled.fetch_add(1, Ordering::Relaxed);
            std::future::pending().await
        }
        // Dies of the first such request there ever was, and answers the next.
        "/die-once" => {
            println!("asked by {}", request.method());
            let mark = format!("{}/died", variable("HOME"));
            if std::fs::File::create_new(mark).is_ok() {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
            }
            text("alive")
        }
        churn if churn.starts_with("/churn/") => {
            churn::begin(&variable("HOME"), churn.trim_start_matches("/churn/"))?;
            text("")
        }
        "/heap" => misbehave::fill_the_heap(),
        "/leave" => {
            fake.end.send(0).await?;
            std::future::pending().await
        }
        "/upgrade" => upgrade(request),
        "/say" => {
            let words = request.into_body().collect().await?.to_bytes();
            println!(
                "{}",
                String::from_utf8_lossy(&words).replace("PASSWORD", &fake.secret)
            );
            text("")
        }
        "/orphan" => {
            // The shell ends at once; what it started loses its parent and ends a moment later.
            let shell = std::process::Command::new("/bin/sh")
                .args(["-c", "sleep 0.05 & echo $!"])
                .output()?;
            text(String::from_utf8_lossy(&shell.stdout).trim())
        }
        "/orphans" => {
            let shell = std::process::Command::new("/bin/sh")
                .args([
                    "-c",
                    "i=0; while [ $i -lt 500 ]; do sleep 0.05 & i=$((i+1)); done; echo $i",
                ])
                .output()?;
            text(String::from_utf8_lossy(&shell.stdout).trim())
        }
        "/stray" => {
            // In a session of its own, out of reach of a signal to the gateway's group.
            let shell = std::process::Command::new("/bin/sh")
                .args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"])
                .output()?;
            text(String::from_utf8_lossy(&shell.stdout).trim())
        }
        "/fight" => {
            misbehave::fight()?;
            text("")
        }
        // Any unknown path is the gateway's page, as with the real one.
        _ => text("<html>a page</html>"),
    })
}

fn process() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name));
    let env: serde_json::Map<_, _> = std::env::vars()
        .map(|(name, value)| (name, Value::from(value)))
        .collect();
    json!({
        "pid": std::process::id(),
        "group": rustix::process::getpgrp().as_raw_nonzero().get(),
        "uid": of("Uid:"),
        "groups": of("Groups:"),
        "no_new_privs": of("NoNewPrivs:"),
        "umask": of("Umask:"),
        "core": limit("Max core file size"),
        "open_files": limit("Max open files"),
        "processes": limit("Max processes"),
        "args": std::env::args().collect::<Vec<_>>(),
        "env": env,
    })
}

fn headers(request: &Request<Incoming>) -> Value {
    let headers = request.headers().iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    json!({ "uri": request.uri().to_string(), "method": request.method().as_str(), "headers": headers })
}

/// One event at once, each further one when a test asks for it.
fn events(fake: Arc<Fake>) -> Answer {
    let (events, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        for number in 0_u32.. {
            let event = Bytes::from(format!("data: {number}\n\n"));
            if events.send(event).await.is_err() {
                break;
            }
            tokio::select! {
                () = fake.next_event.notified() => {}
                () = events.closed() => break,
            }
        }
        fake.stream_dropped.notify_one();
    });
    let mut response = Response::new(Stream(stream).map_err(never).boxed());
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/event-stream"),
    );
    response
}

/// Switches to a protocol that returns every byte, says goodbye when the other side has finished, and ends.
fn upgrade(mut request: Request<Incoming>) -> Answer {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Some(protocol) = request.headers().get(UPGRADE).cloned() else {
        return status(StatusCode::UPGRADE_REQUIRED);
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgraded.await?);
        stream.write_all(b"hello from the gateway\n").await?;
        let mut buffer = [0; 4096];
        while let count @ 1.. = stream.read(&mut buffer).await? {
            stream.write_all(buffer.get(..count).unwrap_or_default()).await?;
        }
        stream.write_all(b"goodbye\n").await?;
        stream.shutdown().await?;
        Ok::<_, FakeError>(())
    });
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    response.headers_mut().insert(UPGRADE, protocol);
    response
        .headers_mut()
        .insert(CONNECTION, hyper::header::HeaderValue::from_static("Upgrade"));
    response
}

fn text(text: &str) -> Answer {
    Response::new(Full::new(Bytes::from(text.to_owned())).map_err(never).boxed())
}

fn status(status: StatusCode) -> Answer {
    let mut response = text("");
    *response.status_mut() = status;
    response
}

fn never(never: Infallible) -> FakeError {
    match never {}
}

struct Stream(mpsc::Receiver<Bytes>);

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// `?count=N` bytes, made as they are read.
struct Pattern {
    left: u64,
    chunk: Bytes,
}

impl Pattern {
    fn from_query(query: Option<&str>) -> Self {
        let count = query.and_then(|query| query.strip_prefix("count="));
        Self {
            left: count.and_then(|count| count.parse().ok()).unwrap_or(0),
            // A prime length: no two buffers on the way begin alike.
            chunk: (0..65_521_u32)
                .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
                .collect(),
        }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.left.min(self.chunk.len() as u64);
        self.left -= length;
        let next = (length > 0).then(|| {
            Ok(Frame::data(
                self.chunk.slice(..usize::try_from(length).unwrap_or(0)),
            ))
        });
        std::task::Poll::Ready(next)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
