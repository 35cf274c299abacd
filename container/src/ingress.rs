//! The owner's traffic on its way to the gateway: HTTP, WebSockets and whatever else starts as HTTP.
//! Bodies and frames pass through unread; only headers are touched ([`crate::headers`]).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::upgrade::{OnUpgrade, on as upgrade};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use moltworker_core::control::GatewayPhase;
use moltworker_core::problem::Refusal;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer;
use crate::headers;
use crate::life::View;
use crate::listener::{BUFFER_BYTES, Body, Open};

/// Between two attempts to reach a gateway that was ready a moment ago.
const CONNECT_AGAIN: Duration = Duration::from_millis(100);

/// What the ingress needs to know.
pub(crate) struct Ingress {
    /// Where the gateway listens.
    pub(crate) gateway: SocketAddr,
    /// What its life looks like now.
    pub(crate) view: watch::Receiver<View>,
    /// How long a request waits for it.
    pub(crate) hold: Duration,
    /// The owner's id.
    pub(crate) owner: HeaderValue,
}

/// Why the gateway did not answer.
enum Unanswered {
    /// It was not there in time; it has not seen the request.
    NotThere(Refusal),
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
    match pass(&ingress, request).await {
        Ok(response) => come_back(response, client_side, open),
        Err(Unanswered::NotThere(refusal)) => answer::refuse(refusal),
        Err(Unanswered::Interrupted) => answer::refuse(Refusal::BotInterrupted),
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

async fn pass(ingress: &Ingress, request: Request<Incoming>) -> Result<Response<Incoming>, Unanswered> {
    let stream = reach(ingress).await.map_err(Unanswered::NotThere)?;
    let (mut parts, body) = request.into_parts();
    parts.headers = headers::toward_gateway(&parts.headers, &ingress.owner);
    // Whatever form the client used, a server is asked for a path.
    parts.uri = match parts.uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    parts.version = hyper::Version::HTTP_11;
    let request = Request::from_parts(parts, body);
    send(stream, request).await.map_err(|_| Unanswered::Interrupted)
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
async fn reach(ingress: &Ingress) -> Result<TcpStream, Refusal> {
    let until = Instant::now() + ingress.hold;
    let mut view = ingress.view.clone();
    let ready = async {
        loop {
            let settled = view
                .wait_for(|view| matches!(view.phase, GatewayPhase::Ready | GatewayPhase::Draining))
                .await;
            // The other end is gone when the supervisor leaves.
            if settled.map_or(GatewayPhase::Draining, |view| view.phase) == GatewayPhase::Draining {
                return Err(Refusal::BotStopping);
            }
            if let Ok(stream) = TcpStream::connect(ingress.gateway).await {
                return Ok(stream);
            }
            tokio::time::sleep(CONNECT_AGAIN).await;
        }
    };
    tokio::time::timeout_at(until, ready)
        .await
        .unwrap_or(Err(Refusal::BotWaking))
}

fn come_back(mut response: Response<Incoming>, client_side: Option<OnUpgrade>, open: Open) -> Response<Body> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client_side) = client_side else {
            // A gateway that switches without being asked left the client behind.
            return answer::refuse(Refusal::BotInterrupted);
        };
        let gateway_side = upgrade(&mut response);
        tokio::spawn(async move {
            let _open = open;
            join(client_side, gateway_side).await;
        });
    }
    let (mut parts, body) = response.into_parts();
    parts.headers = headers::toward_client(&parts.headers);
    parts.version = hyper::Version::HTTP_11;
    Response::from_parts(parts, Body::Left(body))
}

/// Copies both ways until both sides have said all they had to say. One side may finish first.
async fn join(client_side: OnUpgrade, gateway_side: OnUpgrade) {
    let (Ok(client), Ok(gateway)) = tokio::join!(client_side, gateway_side) else {
        return;
    };
    let (mut client, mut gateway) = (TokioIo::new(client), TokioIo::new(gateway));
    // An error is a side that vanished; both are closed when this returns.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
}
