//! Tools of the Rust world, built from crates.io: worker-build and wasm-bindgen, cargo-deny and cargo-sbom.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::apt;
use super::cache::Cache;
use super::command::{capture, command, logged, on_path, succeeds};
use super::report::{Report, Say};
use super::versions;

pub(crate) struct CargoTools {
    pub(crate) worker_build: PathBuf,
    pub(crate) wasm_bindgen: PathBuf,
}

pub(crate) fn find(root: &Path, cache: &Cache, report: &Report) -> Result<CargoTools> {
    let bindgen_version = locked_version(root, "wasm-bindgen")?;
    Ok(CargoTools {
        wasm_bindgen: tool(
            cache,
            report,
            "wasm-bindgen-cli",
            &bindgen_version,
            "wasm-bindgen",
        )?,
        worker_build: tool(
            cache,
            report,
            "worker-build",
            versions::WORKER_BUILD,
            "worker-build",
        )?,
    })
}

/// What holds `deny.toml` against the lock file.
pub(crate) fn deny(cache: &Cache, report: &Report) -> Result<PathBuf> {
    tool(cache, report, "cargo-deny", versions::CARGO_DENY, "cargo-deny")
}

/// What lists the parts of a release.
pub(crate) fn sbom(cache: &Cache, report: &Report) -> Result<PathBuf> {
    tool(cache, report, "cargo-sbom", versions::CARGO_SBOM, "cargo-sbom")
}

fn tool(cache: &Cache, report: &Report, krate: &str, version: &str, binary: &str) -> Result<PathBuf> {
    let entry = format!("cargo/{krate}-{version}");
    let name = if krate == binary { krate } else { binary };
    report.step(name, |say| {
        let path = cache.path(&entry).join("bin").join(binary);
        if path.is_file() && succeeds(command(&path).arg("--version")) {
            return Ok((path, version.to_owned()));
        }
        say.doing(format!(
            "cargo install {krate}@{version}, some minutes on two cores"
        ));
        headers(cache, say)?;
        // What does not run is not an installation.
        if cache.path(&entry).exists() {
            std::fs::remove_dir_all(cache.path(&entry))?;
        }
        cache.entry(&entry, 2000, |dir| install(cache, krate, version, dir))?;
        capture(command(&path).arg("--version"))
            .with_context(|| format!("{krate} was built but does not run"))?;
        Ok((path, format!("{version} built")))
    })
}

/// worker-build links OpenSSL (it can download, though here it never does), so its headers must be there.
fn headers(cache: &Cache, say: &Say<'_>) -> Result<()> {
    let there = succeeds(command("pkg-config").args(["--exists", "openssl"])) && on_path("cc").is_some();
    if there || !cfg!(target_os = "linux") {
        return Ok(());
    }
    let packages = ["gcc", "libc6-dev", "libssl-dev", "pkg-config"];
    apt::install(
        cache,
        say,
        "worker-build needs OpenSSL's headers and a C compiler",
        &packages,
    )
}

/// A tool that runs for seconds per build is not worth minutes of optimisation. Not `--locked`: the lock file
/// that wasm-bindgen-cli ships does not resolve.
fn install(cache: &Cache, krate: &str, version: &str, dir: &Path) -> Result<()> {
    let scratch = cache.scratch()?;
    logged(
        command("cargo")
            .args([
                "install",
                krate,
                "--version",
                &format!("={version}"),
                "--no-track",
                "--root",
            ])
            .arg(dir)
            // Away from this workspace, whose settings are not meant for it.
            .current_dir(scratch.path())
            .env("CARGO_TARGET_DIR", scratch.path().join("target"))
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false"),
        &cache.path(&format!("{krate}.log")),
    )
}

/// The version of a package in `Cargo.lock`.
fn locked_version(root: &Path, package: &str) -> Result<String> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
    version_in_lock(&lock, package)
        .with_context(|| format!("Cargo.lock holds no {package}: is the Worker a member of the workspace?"))
}

fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines();
    lines.find(|line| *line == format!("name = \"{package}\""))?;
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::version_in_lock;

    #[test]
    fn the_exact_package_is_found() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.1\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in_lock(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in_lock(lock, "wasm"), None);
    }
}
