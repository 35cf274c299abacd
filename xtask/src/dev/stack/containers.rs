//! The containers of one local system, found by the names workerd gives them.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// All containers that workerd names `workerd-<run>-<Worker's name>-<class>-<object id>`, and each one's
/// network sidecar (`…-proxy`).
pub(super) struct Containers {
    filter: String,
}

impl Containers {
    pub(super) fn of(worker_name: &str) -> Self {
        // Docker's own listing of names starts with a slash in some versions.
        Self {
            filter: format!("name=^/?workerd-[0-9a-f]+-{worker_name}-"),
        }
    }

    /// For `docker ps --filter`.
    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    /// Removes them, running or not. Other systems' containers have other names.
    pub(super) async fn remove_all(&self) -> Result<()> {
        let listed = docker(&["ps", "--all", "--quiet", "--filter", &self.filter]).await?;
        let ids: Vec<&str> = listed.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut arguments = vec!["rm", "--force", "--volumes"];
        arguments.extend(ids);
        docker(&arguments).await.map(drop)
    }
}

async fn docker(arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .context("docker cannot be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // Two removals of one container meet when workerd cleans up as well.
        if said
            .lines()
            .all(|line| line.contains("No such container") || line.contains("already in progress"))
        {
            return Ok(String::new());
        }
        bail!(
            "docker {} failed: {}",
            arguments.first().unwrap_or(&""),
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
