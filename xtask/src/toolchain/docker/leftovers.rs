//! What earlier builds leave among the engine's images. Each change of the sources leaves a stage of the
//! Dockerfile without a name, a gigabyte with the compiler's output; the newest are the next build's cache.

use super::super::command::{capture, command};

/// As the Dockerfile labels the end of each of its stages.
const STAGES: [&str; 3] = ["supervisor", "gateway", "bot"];
/// Of each stage: the last build's, and one for whoever goes back and forth between two versions.
const KEPT: usize = 2;

/// Removes what no build will use. To be called when no other command builds: between two steps of a build an
/// image has no name either.
pub(super) fn remove() {
    for stage in STAGES {
        let label = format!("label=moltworker.stage={stage}");
        let unnamed = capture(
            command("docker")
                .args(["image", "ls", "--quiet", "--no-trunc"])
                .args(["--filter", "dangling=true", "--filter", &label]),
        );
        for image in superfluous(&unnamed.unwrap_or_default()) {
            // One that a container still uses stays, and is found again the next time.
            let _ = capture(command("docker").args(["image", "rm", image]));
        }
    }
}

/// The engine lists the newest first.
fn superfluous(listed: &str) -> impl Iterator<Item = &str> {
    listed.split_whitespace().skip(KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_images_are_kept_as_build_cache() {
        let left: Vec<_> = superfluous("sha256:4\nsha256:3\nsha256:2\nsha256:1\n").collect();
        assert_eq!(left, ["sha256:2", "sha256:1"]);
        assert_eq!(superfluous("sha256:1\n").count(), 0);
        assert_eq!(superfluous("").count(), 0);
    }

    #[test]
    fn every_dockerfile_stage_is_recognized() {
        let dockerfile = include_str!("../../../../Dockerfile");
        let stages = dockerfile
            .lines()
            .filter(|line| line.starts_with("FROM "))
            .count();
        assert_eq!(stages, STAGES.len());
        for stage in STAGES {
            assert!(
                dockerfile.contains(&format!("LABEL moltworker.stage={stage}\n")),
                "{stage}"
            );
        }
    }
}
