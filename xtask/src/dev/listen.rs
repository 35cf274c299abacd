//! Taking ports, and saying it plainly when one is taken.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;

/// Listens on a port; 0 takes any free one.
pub(super) async fn on(ip: impl Into<IpAddr>, port: u16) -> Result<TcpListener> {
    let address = SocketAddr::new(ip.into(), port);
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is taken by another program; stop that one or choose another port")
        }
        bound => bound.with_context(|| format!("cannot listen on {address}")),
    }
}

/// Listens on a port if it is free, else on any free one.
pub(super) async fn preferring(ip: impl Into<IpAddr>, port: u16) -> Result<TcpListener> {
    let ip = ip.into();
    match TcpListener::bind(SocketAddr::new(ip, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => on(ip, 0).await,
    }
}

/// Listens on an address if this machine has it.
pub(super) async fn if_ours(ip: impl Into<IpAddr>, port: u16) -> Result<Option<TcpListener>> {
    let address = SocketAddr::new(ip.into(), port);
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}
