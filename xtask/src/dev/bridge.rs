//! Where containers reach this machine.

use std::net::Ipv4Addr;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::listen;

/// Under this name a container finds the machine it runs on.
pub(super) const HOST_SEEN_FROM_CONTAINERS: &str = "host.docker.internal";

/// Lets containers reach a port of loopback, which is all that wrangler listens on.
pub(super) struct Relay {
    port: u16,
    listener: Option<TcpListener>,
}

impl Relay {
    /// Takes the same port on Docker's network. Not on all addresses: the Worker of a developer must not be
    /// reachable from the network.
    pub(super) async fn bind(port: u16) -> Result<Self> {
        let listener = match gateway().await {
            Some(gateway) => listen::if_ours(gateway, port).await?,
            None => None,
        };
        Ok(Self { port, listener })
    }

    /// The port's address as a container reaches it.
    pub(super) fn url_for_containers(&self) -> String {
        format!("http://{HOST_SEEN_FROM_CONTAINERS}:{}", self.port)
    }

    /// Relays until the caller drops this. Where there is no address to listen on, the name leads to loopback
    /// by itself.
    pub(super) async fn serve(self) -> Result<()> {
        let Some(listener) = self.listener else {
            return std::future::pending().await;
        };
        let mut connections = JoinSet::new();
        loop {
            let (mut theirs, _) = listener.accept().await.context("the relay stopped")?;
            let port = self.port;
            connections.spawn(async move {
                // A Worker that is away refuses the connection, and the container sees it end.
                let mut ours = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                tokio::io::copy_bidirectional(&mut theirs, &mut ours).await
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

/// The address of this machine on Docker's default network, if Docker runs and says so.
///
/// On a Mac that address is inside Docker's own virtual machine; there `host.docker.internal` leads to
/// loopback by itself, and the address turns out not to be ours when it is listened on.
pub(super) async fn gateway() -> Option<Ipv4Addr> {
    let output = Command::new("docker")
        .args([
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{range .IPAM.Config}}{{.Gateway}} {{end}}",
        ])
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn bytes_pass_both_ways_until_one_side_ends() {
        let worker = listen::on(Ipv4Addr::LOCALHOST, 0).await.unwrap();
        let port = worker.local_addr().unwrap().port();
        let listener = listen::on(Ipv4Addr::LOCALHOST, 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let relay = Relay {
            port,
            listener: Some(listener),
        };
        let relay = tokio::spawn(relay.serve());
        let echo = tokio::spawn(async move {
            let (mut stream, _) = worker.accept().await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            stream.write_all(said.to_uppercase().as_bytes()).await.unwrap();
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "HELLO");
        echo.await.unwrap();
        relay.abort();
    }
}
