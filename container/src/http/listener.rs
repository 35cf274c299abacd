//! Accepts connections on one port and lets each end well.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::http::body::Body;

/// Connections at a time. More wait in the kernel's queue: each costs PID 1 up to two buffers.
const CONNECTIONS: usize = 400;
/// So many of them may be from inside the container. Who sits there can hold every place of theirs and still none of the
/// platform's. Where the platform comes over loopback too (local development), 300 are more than one bot's owner opens.
const MAX_INSIDE_CONNECTIONS: usize = 300;
/// How much of a message is in memory at a time, per direction. Headers have to fit.
pub(crate) const BUFFER_BYTES: usize = 64 * 1024;
/// After the kernel refused a connection (no file descriptor, for example).
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// How long open connections may take to end once we leave.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// One open port.
pub(crate) struct Port {
    closing: watch::Sender<bool>,
    /// Closed when the last connection has ended.
    open: mpsc::Receiver<Infallible>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A connection's place among the open ones. What outlives the HTTP part of a connection (an upgrade) holds
/// it on: the port counts it, and waits for it when it closes.
#[derive(Clone)]
pub(crate) struct Open {
    _alive: Alive,
    _places: Arc<[OwnedSemaphorePermit]>,
}

/// Its last clone being dropped is the message.
type Alive = mpsc::Sender<Infallible>;

impl Port {
    /// Listens on `address` and has every request answered by `handler`. A client may take `head_deadline` to send a
    /// request's head, or leave a kept connection unused.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub(crate) async fn open<H, A>(
        address: SocketAddr,
        head_deadline: Duration,
        handler: H,
    ) -> std::io::Result<Self>
    where
        H: Fn(Request<Incoming>, Open) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (closing, closed) = watch::channel(false);
        let (alive, open) = mpsc::channel(1);
        tokio::spawn(accept(listener, head_deadline, handler, closed, alive));
        Ok(Self {
            closing,
            open,
            address,
        })
    }

    /// Stops listening, lets what is under way end, up to a limit.
    pub(crate) async fn close(mut self) {
        self.closing.send_replace(true);
        let _ = tokio::time::timeout(LAST_BYTES, self.open.recv()).await;
    }
}

async fn accept<H, A>(
    listener: TcpListener,
    head_deadline: Duration,
    handler: H,
    mut closing: watch::Receiver<bool>,
    alive: Alive,
) where
    H: Fn(Request<Incoming>, Open) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let inside = Arc::new(Semaphore::new(MAX_INSIDE_CONNECTIONS));
    loop {
        let next = async {
            // An error would mean that the places were taken away, which nobody does.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await.ok(), place)
        };
        let next = tokio::select! {
            next = next => next,
            () = close_requested(&mut closing) => return,
        };
        let (Some((stream, peer)), Some(place)) = next else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let mut taken = vec![place];
        if is_from_inside(peer, stream.local_addr().ok(), is_of_this_machine) {
            // To be turned away tells an honest client at once; to wait would take a place.
            let Ok(place) = Arc::clone(&inside).try_acquire_owned() else {
                continue;
            };
            taken.push(place);
        }
        let open = Open {
            _alive: alive.clone(),
            _places: taken.into(),
        };
        tokio::spawn(serve(
            stream,
            head_deadline,
            handler.clone(),
            closing.clone(),
            open,
        ));
    }
}

/// Whether a connection comes from this machine, by whichever of its addresses: who sits here may connect to any of them, from
/// any of them.
fn is_from_inside(
    peer: SocketAddr,
    reached: Option<SocketAddr>,
    is_of_this_machine: impl FnOnce(SocketAddr) -> bool,
) -> bool {
    let plain = |address: SocketAddr| -> IpAddr { address.ip().to_canonical() };
    let from = plain(peer);
    from.is_loopback() || reached.map(plain) == Some(from) || is_of_this_machine(peer)
}

/// The kernel gives only its own addresses; nothing is sent.
fn is_of_this_machine(peer: SocketAddr) -> bool {
    let mut address = peer;
    // Where the machine has the new addresses only as a form of the old ones, it cannot be asked in that form.
    if let IpAddr::V4(plain) = peer.ip().to_canonical() {
        address.set_ip(plain.into());
    }
    address.set_port(0);
    UdpSocket::bind(address).is_ok()
}

async fn serve<H, A>(
    stream: TcpStream,
    head_deadline: Duration,
    handler: H,
    mut closing: watch::Receiver<bool>,
    open: Open,
) where
    H: Fn(Request<Incoming>, Open) -> A,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    // An event of ten bytes is not to wait for company.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let answer = handler(request, open.clone());
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_deadline)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    // An error here is a client that went away or spoke no HTTP: its connection is over either way.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = close_requested(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn close_requested(closing: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to tell: that says the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_connects_from_an_address_of_this_machine_is_inside() {
        let reached = Some("172.17.0.2:8081".parse().unwrap());
        let other_interface: IpAddr = "10.0.0.7".parse().unwrap();
        let is_own = |address: SocketAddr| address.ip() == other_interface;
        for (peer, inside) in [
            ("127.0.0.1:5", true),
            ("127.8.8.8:5", true),
            ("[::1]:5", true),
            ("[::ffff:127.0.0.1]:5", true),
            // From the very address it connects to, and from another one of this machine's.
            ("172.17.0.2:5", true),
            ("[::ffff:172.17.0.2]:5", true),
            ("10.0.0.7:5", true),
            ("172.17.0.1:5", false),
            ("10.0.0.8:5", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(is_from_inside(peer, reached, is_own), inside, "{peer}");
        }
        assert!(!is_from_inside("10.0.0.8:5".parse().unwrap(), None, is_own));
    }

    #[test]
    fn the_kernel_knows_which_addresses_are_this_machines() {
        // Of a network that is nobody's (RFC 5737).
        assert!(!is_of_this_machine("192.0.2.1:9".parse().unwrap()));
        assert!(is_of_this_machine("127.3.2.1:9".parse().unwrap()));
        assert!(is_of_this_machine("[::ffff:127.0.0.1]:9".parse().unwrap()));
    }
}
