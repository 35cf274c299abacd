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
}

pub(crate) fn find(root: &Path, cache: &Cache, report: &Report, node: &Node) -> Result<JsTools> {
    report.step("JS tools", |say| {
        let mut contents = Vec::new();
        for name in INPUTS {
            contents.push(fs::read(root.join(name)).with_context(|| format!("{name} cannot be read"))?);
        }
        let entry = format!("js/{}", fingerprint(contents.iter().map(Vec::as_slice)));
        let mut outcome = "as locked";
        if !cache.path(&entry).exists() {
            say.doing("npm install: wrangler, workerd, esbuild, wasm-opt, playwright");
            outcome = "installed as locked";
        }
        let dir = cache.entry(&entry, 1500, |dir| {
            for name in INPUTS {
                fs::copy(root.join(name), dir.join(name))?;
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
        link(&modules, &root.join("node_modules"))?;
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
