//! Where containers reach this machine.

use std::net::Ipv4Addr;
use std::process::Stdio;

use tokio::process::Command;

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
