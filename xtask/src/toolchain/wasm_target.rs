//! The standard library for wasm32-unknown-unknown, and the compiler it belongs to.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::apt;
use super::cache::Cache;
use super::command::{capture, command, logged, on_path};
use super::report::Report;

const TARGET: &str = "wasm32-unknown-unknown";
/// Debian's compiler that knows the wasm target, and the directory of its `rustc`.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// What a build for wasm must have in its environment.
pub(crate) struct WasmTarget {
    pub(crate) env: Vec<(OsString, OsString)>,
    /// `rustc --version` of the compiler used, for build stamps.
    pub(crate) compiler: String,
}

pub(crate) fn find(cache: &Cache, report: &Report) -> Result<WasmTarget> {
    report.step("wasm target", |say| {
        let sysroot = PathBuf::from(
            capture(command("rustc").args(["--print", "sysroot"]))
                .context("Rust is needed: install it with rustup")?,
        );
        if has_target(&sysroot) {
            return Ok((ordinary()?, "in the Rust toolchain".to_owned()));
        }
        if debian_ready() {
            return Ok((
                debian(&sysroot)?,
                "Debian's compiler with its own library".to_owned(),
            ));
        }
        let refused = match add_with_rustup() {
            Ok(()) if has_target(&sysroot) => {
                say.doing("rustup target add");
                return Ok((ordinary()?, "added by rustup".to_owned()));
            }
            Ok(()) => "rustup added it to another toolchain".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        say.doing(format!(
            "rustup cannot add it ({refused}): building the library with Debian's compiler, about a minute"
        ));
        build_debian_library(cache, say)?;
        Ok((debian(&sysroot)?, "built with Debian's compiler".to_owned()))
    })
}

fn has_target(sysroot: &Path) -> bool {
    holds_library(&sysroot.join("lib/rustlib").join(TARGET).join("lib"), "libstd-")
}

fn holds_library(dir: &Path, prefix: &str) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    })
}

fn add_with_rustup() -> Result<()> {
    if on_path("rustup").is_none() {
        bail!("there is no rustup");
    }
    capture(command("rustup").args(["target", "add", TARGET])).map(drop)
}

fn ordinary() -> Result<WasmTarget> {
    Ok(WasmTarget {
        env: Vec::new(),
        compiler: capture(command("rustc").arg("--version"))?,
    })
}

fn debian_ready() -> bool {
    Path::new(DEBIAN_RUSTC).is_file() && debian_sysroot().is_ok_and(|sysroot| has_target(&sysroot))
}

fn debian_sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(capture(
        command(DEBIAN_RUSTC).args(["--print", "sysroot"]),
    )?))
}

/// The linker comes from the rustup toolchain: Debian's compiler brings none for wasm.
fn debian(rustup_sysroot: &Path) -> Result<WasmTarget> {
    let host = capture(command("rustc").args(["--print", "host-tuple"]))?;
    let linker = rustup_sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
    if !linker.is_file() {
        bail!(
            "{} is missing: install Rust with rustup, its linker is needed",
            linker.display()
        );
    }
    let bin = Path::new(DEBIAN_RUSTC).parent().unwrap_or(Path::new("/usr/bin"));
    Ok(WasmTarget {
        env: vec![
            ("RUSTC".into(), DEBIAN_RUSTC.into()),
            // worker-build asks the `rustc` on PATH for its sysroot.
            ("PATH".into(), super::command::path_with(bin)?),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER".into(), linker.into()),
        ],
        compiler: capture(command(DEBIAN_RUSTC).arg("--version"))?,
    })
}

fn build_debian_library(cache: &Cache, say: &super::report::Say<'_>) -> Result<()> {
    if !(Path::new(DEBIAN_RUSTC).is_file() && debian_source_present()?) {
        apt::install(
            cache,
            say,
            "the wasm library must be built here",
            &["rustc-web", "rust-web-src"],
        )?;
    }
    let place = debian_sysroot()?.join("lib/rustlib").join(TARGET).join("lib");
    let scratch = cache.scratch()?;
    let krate = scratch.path();
    fs::create_dir_all(krate.join("src"))?;
    fs::write(krate.join("src/lib.rs"), "")?;
    fs::write(
        krate.join("Cargo.toml"),
        "[package]\nname = \"wasm-library\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    logged(
        command("cargo")
            .args([
                "build",
                "--release",
                "--target",
                TARGET,
                "-Zbuild-std=std,panic_abort",
            ])
            .current_dir(krate)
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            // Without bitcode every later build with link-time optimisation fails.
            .env("RUSTFLAGS", "-Cembed-bitcode=yes")
            .env("CARGO_TARGET_DIR", krate.join("target")),
        &cache.path("wasm-library.log"),
    )?;
    install_rlibs(&krate.join("target").join(TARGET).join("release/deps"), &place)
}

fn debian_source_present() -> Result<bool> {
    Ok(debian_sysroot()?
        .join("lib/rustlib/src/rust/library/std/Cargo.toml")
        .is_file())
}

/// `libstd` goes last and by rename: its presence is what says the library is complete.
fn install_rlibs(built: &Path, place: &Path) -> Result<()> {
    fs::create_dir_all(place)
        .with_context(|| format!("{} cannot be written: run as root once", place.display()))?;
    let mut rlibs: Vec<PathBuf> = fs::read_dir(built)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "rlib"))
        .collect();
    rlibs.sort_by_key(|path| path.to_string_lossy().contains("libstd-"));
    for rlib in rlibs {
        let Some(name) = rlib.file_name() else { continue };
        if name.to_string_lossy().starts_with("libwasm_library-") {
            continue;
        }
        let partial = place.join(".partial");
        fs::copy(&rlib, &partial)?;
        fs::rename(&partial, place.join(name))?;
    }
    Ok(())
}
