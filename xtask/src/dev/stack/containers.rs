//! The containers of one local system, found by the names workerd gives them, and the image they were made from.

use std::path::Path;
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

/// What the newest image of a local system is called once that system has stopped.
const LAST_IMAGE: &str = "moltbot-sandbox:dev";
/// wrangler calls the image of every run something else, and none of them is ever removed.
const IMAGE_OF_A_RUN: &str = "cloudflare-dev/";

/// Gives the image of a run that is over, of which this is the log, the name that the next one takes over.
pub(super) async fn rename_image(log: &Path) {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    if let Some(image) = image_of_the_run(&said)
        // Where somebody has removed it meanwhile, nothing is left to do.
        && docker(&["tag", &image, LAST_IMAGE]).await.is_ok()
    {
        docker(&["image", "rm", &image]).await.ok();
    }
}

fn image_of_the_run(log: &str) -> Option<String> {
    let (_, rest) = log.rsplit_once(IMAGE_OF_A_RUN)?;
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | ':');
    let name = rest.split(|character| !is_part(character)).next()?;
    name.contains(':').then(|| format!("{IMAGE_OF_A_RUN}{name}"))
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

#[cfg(test)]
mod tests {
    use super::image_of_the_run;

    #[test]
    fn the_image_is_found_under_either_name() {
        let image = Some("cloudflare-dev/sandbox:788d86b1".to_owned());
        for log in [
            "Step 1\nSuccessfully tagged cloudflare-dev/sandbox:788d86b1\nready",
            "#9 naming to docker.io/cloudflare-dev/sandbox:788d86b1 done",
            "a cloudflare-dev/sandbox:00000000 of before\ncloudflare-dev/sandbox:788d86b1",
        ] {
            assert_eq!(image_of_the_run(log), image, "{log}");
        }
        for log in ["", "no image here", "see cloudflare-dev/ for more"] {
            assert_eq!(image_of_the_run(log), None, "{log}");
        }
    }
}
