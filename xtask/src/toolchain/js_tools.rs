//! wrangler, miniflare, esbuild, wasm-opt and what the tests import: exactly what `package-lock.json` says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::cache::{Cache, fingerprint};
use super::command::logged;
use super::node::Node;
use super::report::Report;

const INPUTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

pub(crate) struct JsTools {
    modules: PathBuf,
}

impl JsTools {
    pub(crate) fn wrangler(&self) -> PathBuf {
        self.modules.join("wrangler/bin/wrangler.js")
    }
    pub(crate) fn wasm_opt(&self) -> PathBuf {
        self.modules.join(".bin/wasm-opt")
    }
    pub(crate) fn esbuild(&self) -> PathBuf {
        self.modules.join(".bin/esbuild")
    }
    /// A program that a package brings along.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.modules.join(".bin").join(name)
    }
}

pub(crate) fn find(root: &Path, cache: &Cache, report: &Report, node: &Node) -> Result<JsTools> {
    let what = ("JS tools", "wrangler, workerd, esbuild, wasm-opt, playwright");
    installed(root, cache, report, node, what)
}

/// The packages that the lock file of a folder names; `what` is the step's name, and what is worth naming of them.
pub(super) fn installed(
    folder: &Path,
    cache: &Cache,
    report: &Report,
    node: &Node,
    what: (&'static str, &str),
) -> Result<JsTools> {
    report.step(what.0, |say| {
        let mut contents = Vec::new();
        for name in INPUTS {
            let file = folder.join(name);
            contents.push(fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?);
        }
        let entry = format!("js/{}", fingerprint(contents.iter().map(Vec::as_slice)));
        let mut outcome = "as locked";
        if !cache.path(&entry).exists() {
            say.doing(format!("npm install: {}", what.1));
            outcome = "installed as locked";
        }
        let dir = cache.entry(&entry, 1500, |dir| {
            for name in INPUTS {
                fs::copy(folder.join(name), dir.join(name))?;
            }
            // Not `npm ci`: it refuses a lock file without the packages of every operating system, and the registry
            // does not hold all of them. This installs the same locked versions, checked by the same hashes.
            logged(
                node.npm()?
                    .args(["install", "--ignore-scripts", "--no-save"])
                    .current_dir(dir),
                &cache.path("npm.log"),
            )
        })?;
        let modules = dir.join("node_modules");
        link(&modules, &folder.join("node_modules"))?;
        Ok((JsTools { modules }, outcome.to_owned()))
    })
}

/// Tests import by name, so `node_modules` must stand above them; every clone shares the one in the cache.
fn link(modules: &Path, place: &Path) -> Result<()> {
    match fs::symlink_metadata(place) {
        Ok(meta) if meta.is_symlink() => {
            if fs::read_link(place)? == modules {
                return Ok(());
            }
            fs::remove_file(place)?;
        }
        Ok(_) => bail!(
            "{} was not made by xtask: remove it and run again",
            place.display()
        ),
        Err(_) => {}
    }
    symlink(modules, place).with_context(|| format!("cannot create {}", place.display()))
}
