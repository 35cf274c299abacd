//! The owner's traffic on its way to the gateway: HTTP and WebSockets, from the Sandbox of this run and from nobody else.
//! Bodies and frames pass through unread; only headers are touched ([`crate::ingress::headers`]).

mod connection;
pub(crate) mod headers;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::upgrade::{OnUpgrade, on as upgrade};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use moltworker_core::bot::gateway::{GatewayView, Launch};
use moltworker_core::http::container_answer::{BadAnswer, ContainerAnswer};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{CrashLoop, GatewayPhase};
use moltworker_core::wire::run::IngressSecret;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::activity::Activity;
use crate::http::answer;
use crate::http::body::Body;
use crate::http::listener::{BUFFER_BYTES, Open};
use crate::http::upload::{Exchange, Upload};
use crate::ingress::connection::Connection;

/// How long a client may take to send a request's head, or leave a kept connection unused.
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(60);
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
    /// How long the gateway may take to begin an answer.
    pub(crate) answer_deadline: Duration,
    /// The owner's id.
    pub(crate) owner: HeaderValue,
    /// What proves that the Sandbox of this run speaks; `None` where that one knows of no such secret.
    pub(crate) secret: Option<IngressSecret>,
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
    /// It has taken the request, and does not begin to answer.
    Silent,
    /// What it said is no answer.
    Bad(BadAnswer),
}

/// Passes one request on and its answer back.
pub(crate) async fn handle(
    ingress: Arc<Ingress>,
    mut request: Request<Incoming>,
    open: Open,
) -> Response<Body> {
    let client_side = headers::opens_web_socket(request.headers()).then(|| upgrade(&mut request));
    let request_id = headers::request_id(request.headers());
    let (parts, body) = request.into_parts();
    let (exchange, upload, answer) = Exchange::begin(body);
    let (counted, response) = match permitted(&ingress, &parts) {
        Ok(()) => {
            let counted = ingress.activity.request(parts.uri.path());
            let request = Request::from_parts(parts, upload);
            let answered = pass(&ingress, request, exchange).await;
            let passed = answered.and_then(|response| {
                come_back(response, client_side, open, &ingress.activity).map_err(Unanswered::Bad)
            });
            (counted, passed.unwrap_or_else(refuse))
        }
        Err(refusal) => (None, answer::refuse(refusal)),
    };
    let mut response = response.map(|body| body.of(counted, answer));
    headers::number(response.headers_mut(), request_id);
    response
}

/// Whether a request may go on. Who is not the Sandbox is not even counted: it must not keep a bot awake.
fn permitted(ingress: &Ingress, request: &Parts) -> Result<(), Refusal> {
    let admits = |secret| headers::is_from_sandbox(&request.headers, secret);
    if !ingress.secret.as_ref().is_none_or(admits) {
        return Err(Refusal::IngressSecretRequired);
    }
    // Not a request to the gateway but an order to be a tunnel to anywhere.
    if request.method == Method::CONNECT {
        return Err(Refusal::WrongMethod);
    }
    Ok(())
}

fn refuse(unanswered: Unanswered) -> Response<Body> {
    match unanswered {
        Unanswered::NotThere(refusal) => answer::refuse(refusal),
        Unanswered::CrashLooped(why) => answer::explain(Refusal::BotCrashLooped, why.map(describe)),
        Unanswered::Interrupted => answer::refuse(Refusal::BotInterrupted),
        Unanswered::Silent => answer::refuse(Refusal::BotSilent),
        Unanswered::Bad(why) => answer::explain(Refusal::BadAnswer, Some(why.to_string())),
    }
}

/// Why nothing could be read as an answer.
fn unanswered(error: &hyper::Error) -> Unanswered {
    if error.is_parse() {
        Unanswered::Bad(BadAnswer::NotHttp)
    } else {
        Unanswered::Interrupted
    }
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
    let answered = send(stream, request, std::future::pending()).await;
    answered.map_err(io::Error::other)
}

/// Sends the request to the gateway; once more to the next one, when it can be and this one ended before it
/// answered.
async fn pass(
    ingress: &Ingress,
    request: Request<Upload>,
    exchange: Arc<Exchange>,
) -> Result<Response<Incoming>, Unanswered> {
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
    let deadline = ingress.answer_deadline;
    let answered = send(stream, request, Arc::clone(&exchange).is_over());
    match (in_time(answered, &exchange, deadline).await?, copy) {
        (Ok(response), _) => Ok(response),
        (Err(error), Some(copy)) if !error.is_parse() && ends(ingress, launch).await => {
            let (_, stream) = reach(ingress).await?;
            let request = copy.map(Either::<Upload, _>::Right);
            let answered = send(stream, request, Arc::clone(&exchange).is_over());
            let answered = in_time(answered, &exchange, deadline).await?;
            answered.map_err(|error| unanswered(&error))
        }
        (Err(error), _) => Err(unanswered(&error)),
    }
}

/// What comes of a request whose answer begins in time, counted from the last piece of it that went on.
async fn in_time<T>(
    answered: impl Future<Output = T>,
    exchange: &Exchange,
    deadline: Duration,
) -> Result<T, Unanswered> {
    let mut answered = pin!(answered);
    loop {
        let before = exchange.passed();
        match tokio::time::timeout(deadline, answered.as_mut()).await {
            Ok(answered) => return Ok(answered),
            Err(_) if exchange.passed() != before => {}
            Err(_) => return Err(Unanswered::Silent),
        }
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

/// Sends a request over this connection, which ends with the exchange: when the answer was read, when either side went
/// away, or when `over` resolves.
async fn send<B>(
    stream: TcpStream,
    request: Request<B>,
    over: impl Future<Output = ()> + Send + 'static,
) -> hyper::Result<Response<Incoming>>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Refused only by a socket that is closed already, which the next write finds out.
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .handshake(TokioIo::new(Connection::new(stream)))
        .await?;
    tokio::spawn(async move {
        tokio::select! {
            _ = connection.with_upgrades() => {}
            () = over => {}
        }
    });
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

/// The gateway's answer as the client gets it, if it is one.
fn come_back(
    mut response: Response<Incoming>,
    client_side: Option<OnUpgrade>,
    open: Open,
    activity: &Arc<Activity>,
) -> Result<Response<Body>, BadAnswer> {
    let client_side = client_side.filter(|_| headers::opens_web_socket(response.headers()));
    let kind = ContainerAnswer::of(response.status().as_u16(), client_side.is_some())?;
    if let (ContainerAnswer::WebSocket, Some(client_side)) = (kind, client_side) {
        let activity = Arc::clone(activity);
        let gateway_side = upgrade(&mut response);
        tokio::spawn(async move {
            let _open = open;
            join(client_side, gateway_side, &activity).await;
        });
    }
    let (mut parts, body) = response.into_parts();
    parts.headers = headers::toward_client(&parts.headers);
    parts.version = hyper::Version::HTTP_11;
    Ok(Response::from_parts(parts, Body::passed(body)))
}

/// Copies both ways until both sides have said all they had to say. One side may finish first.
async fn join(client_side: OnUpgrade, gateway_side: OnUpgrade, activity: &Arc<Activity>) {
    let (Ok(client), Ok(gateway)) = tokio::join!(client_side, gateway_side) else {
        return;
    };
    let mut client = activity.web_socket(TokioIo::new(client));
    let mut gateway = TokioIo::new(gateway);
    // An error is a side that vanished; both are closed when this returns.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
}
