//! The owner's traffic on its way to the gateway: HTTP, WebSockets and whatever else starts as HTTP.
//! Bodies and frames pass through unread; only headers are touched ([`crate::ingress::headers`]).

pub(crate) mod headers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::{OnUpgrade, on as upgrade};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use moltworker_core::bot::gateway::{GatewayView, Launch};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{CrashLoop, GatewayPhase};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::activity::Activity;
use crate::http::answer;
use crate::http::body::Body;
use crate::http::listener::{BUFFER_BYTES, Open};

/// Between two attempts to reach a gateway that was ready a moment ago.
const CONNECT_AGAIN: Duration = Duration::from_millis(100);
/// How long a connection to the gateway may break before its end is known. A gateway that is still the same by
/// then has dropped the connection for reasons of its own.
const END_IS_KNOWN: Duration = Duration::from_secs(2);

/// What the ingress needs to know.
pub(crate) struct Ingress {
    /// Where the gateway listens.
    pub(crate) gateway: SocketAddr,
    /// What its life looks like now.
    pub(crate) view: watch::Receiver<GatewayView>,
    /// How long a request waits for it.
    pub(crate) hold: Duration,
    /// The owner's id.
    pub(crate) owner: HeaderValue,
    /// What the owner does.
    pub(crate) activity: Arc<Activity>,
}

/// Why the gateway did not answer.
enum Unanswered {
    /// It was not there in time; it has not seen the request.
    NotThere(Refusal),
    /// It was given up.
    CrashLooped(Option<CrashLoop>),
    /// It has seen the request, perhaps.
    Interrupted,
}

/// Passes one request on and its answer back.
pub(crate) async fn handle(
    ingress: Arc<Ingress>,
    mut request: Request<Incoming>,
    open: Open,
) -> Response<Body> {
    if request.method() == Method::CONNECT {
        // Not a request to the gateway but an order to be a tunnel to anywhere.
        return answer::refuse(Refusal::WrongMethod);
    }
    let client_side = headers::is_upgrade(request.headers()).then(|| upgrade(&mut request));
    let counted = ingress.activity.request(request.uri().path());
    let response = match pass(&ingress, request).await {
        Ok(response) => come_back(response, client_side, open, &ingress.activity),
        Err(Unanswered::NotThere(refusal)) => answer::refuse(refusal),
        Err(Unanswered::CrashLooped(why)) => answer::explain(Refusal::BotCrashLooped, why.map(describe)),
        Err(Unanswered::Interrupted) => answer::refuse(Refusal::BotInterrupted),
    };
    response.map(|body| body.of(counted))
}

fn describe(crash_loop: CrashLoop) -> String {
    let reason = crash_loop.reason.as_str();
    match crash_loop.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}

/// Sends a request over a connection of its own. The gateway drops an unused connection after five
/// seconds, and a request that meets that moment is lost; a new one over loopback costs microseconds.
///
/// # Errors
/// When the gateway does not listen, or ends before it has answered.
pub(crate) async fn ask<B>(gateway: SocketAddr, request: Request<B>) -> io::Result<Response<Incoming>>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(gateway).await?;
    send(stream, request).await.map_err(io::Error::other)
}

/// Sends the request to the gateway; once more to the next one, when it can be and this one ended before it
/// answered.
async fn pass(ingress: &Ingress, request: Request<Incoming>) -> Result<Response<Incoming>, Unanswered> {
    let (launch, stream) = reach(ingress).await?;
    let (mut parts, body) = request.into_parts();
    parts.headers = headers::toward_gateway(&parts.headers, &ingress.owner);
    // Whatever form the client used, a server is asked for a path.
    parts.uri = match parts.uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    parts.version = hyper::Version::HTTP_11;
    // Asking is safe to do twice (RFC 9110 §9.2.2), and without a body there is nothing that is gone by then.
    let again = (parts.method == Method::GET || parts.method == Method::HEAD) && body.is_end_stream();
    let copy = again.then(|| copy(&parts));
    let request = Request::from_parts(parts, Either::<_, Empty<Bytes>>::Left(body));
    let answered = send(stream, request).await;
    match (answered, copy) {
        (Ok(response), _) => Ok(response),
        (Err(_), Some(copy)) if ends(ingress, launch).await => {
            let (_, stream) = reach(ingress).await?;
            let request = copy.map(Either::<Incoming, _>::Right);
            send(stream, request).await.map_err(|_| Unanswered::Interrupted)
        }
        (Err(_), _) => Err(Unanswered::Interrupted),
    }
}

fn copy(parts: &Parts) -> Request<Empty<Bytes>> {
    let mut copy = Request::new(Empty::new());
    *copy.method_mut() = parts.method.clone();
    *copy.uri_mut() = parts.uri.clone();
    *copy.headers_mut() = parts.headers.clone();
    copy
}

/// Whether this gateway has ended, or is being ended.
async fn ends(ingress: &Ingress, launch: Launch) -> bool {
    let mut view = ingress.view.clone();
    let ends = view.wait_for(|view| {
        let serves = matches!(view.phase, GatewayPhase::Ready | GatewayPhase::Suspect);
        view.launch != launch || !serves
    });
    matches!(tokio::time::timeout(END_IS_KNOWN, ends).await, Ok(Ok(_)))
}

async fn send<B>(stream: TcpStream, request: Request<B>) -> hyper::Result<Response<Incoming>>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Refused only by a socket that is closed already, which the next write finds out.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .handshake(TokioIo::new(stream))
        .await?;
    // It ends with the exchange: when the answer was read, or when either side went away.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await
}

/// A connection to the gateway, once it is ready, within the time a request may be held.
async fn reach(ingress: &Ingress) -> Result<(Launch, TcpStream), Unanswered> {
    let until = Instant::now() + ingress.hold;
    let mut view = ingress.view.clone();
    let ready = async {
        loop {
            let settled = view.wait_for(|view| {
                !matches!(
                    view.phase,
                    GatewayPhase::Restoring
                        | GatewayPhase::Starting
                        | GatewayPhase::Restarting
                        | GatewayPhase::Unknown
                )
            });
            let launch = match settled.await {
                Ok(view) => serving(&view)?,
                // The other end is gone when the supervisor leaves.
                Err(_) => return Err(Unanswered::NotThere(Refusal::BotStopping)),
            };
            if let Ok(stream) = TcpStream::connect(ingress.gateway).await {
                return Ok((launch, stream));
            }
            tokio::time::sleep(CONNECT_AGAIN).await;
        }
    };
    tokio::time::timeout_at(until, ready)
        .await
        .unwrap_or(Err(Unanswered::NotThere(Refusal::BotWaking)))
}

/// Which gateway there is to connect to.
fn serving(view: &GatewayView) -> Result<Launch, Unanswered> {
    match view.phase {
        GatewayPhase::Draining => Err(Unanswered::NotThere(Refusal::BotStopping)),
        GatewayPhase::CrashLooped => Err(Unanswered::CrashLooped(view.crash_loop.clone())),
        _ => Ok(view.launch),
    }
}

fn come_back(
    mut response: Response<Incoming>,
    client_side: Option<OnUpgrade>,
    open: Open,
    activity: &Arc<Activity>,
) -> Response<Body> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client_side) = client_side else {
            // A gateway that switches without being asked left the client behind.
            return answer::refuse(Refusal::BotInterrupted);
        };
        let protocol = response.headers().get(UPGRADE);
        let is_web_socket = protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let activity = Arc::clone(activity);
        let gateway_side = upgrade(&mut response);
        tokio::spawn(async move {
            let _open = open;
            join(client_side, gateway_side, &activity, is_web_socket).await;
        });
    }
    let (mut parts, body) = response.into_parts();
    parts.headers = headers::toward_client(&parts.headers);
    parts.version = hyper::Version::HTTP_11;
    Response::from_parts(parts, Body::passed(body))
}

/// Copies both ways until both sides have said all they had to say. One side may finish first.
async fn join(
    client_side: OnUpgrade,
    gateway_side: OnUpgrade,
    activity: &Arc<Activity>,
    is_web_socket: bool,
) {
    let (Ok(client), Ok(gateway)) = tokio::join!(client_side, gateway_side) else {
        return;
    };
    let mut client = activity.upgrade(TokioIo::new(client), is_web_socket);
    let mut gateway = TokioIo::new(gateway);
    // An error is a side that vanished; both are closed when this returns.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
}
