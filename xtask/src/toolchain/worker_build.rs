//! Builds the Worker: worker-build with every helper it would otherwise download, and not at all when nothing changed.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::admin_ui;
use super::cache::{self, Cache, fingerprint};
use super::cargo_tools::{self, CargoTools};
use super::command::{command, path_with};
use super::function_order;
use super::js_tools::JsTools;
use super::node::Node;
use super::report::Report;
use super::wasm_target::{self, WasmTarget};

/// What the build is made from, relative to the repository.
const INPUTS: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    ".cargo",
    "src",
    "core",
    "migrations",
    API_DOCUMENT,
];
const MODULE: &str = "build/index_bg.wasm";
const ENTRY: &str = "build/index.js";
const API_DOCUMENT: &str = "docs/openapi.json";
/// A module whose default export is its text, by the end of its name: wrangler and workerd's other hosts agree on that.
const TEXT_MODULE: &str = "openapi.txt";

/// What the compiler and wasm-bindgen may have used. Named one by one: with all features on, wasm-opt writes what
/// workerd does not read.
const WASM_FEATURES: [&str; 7] = [
    "bulk-memory",
    "exception-handling",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// As in [`optimize`], for the compiler: a function with much on its stack, which most steps of futures are, is not merged
/// into its caller. The module is then 4 kB smaller, compressed.
const RUSTFLAGS: &str = "-Cllvm-args=--inline-max-stacksize=96";

pub(crate) struct WorkerTools {
    target: WasmTarget,
    cargo: CargoTools,
}

/// What a build led to.
pub(crate) struct Built {
    seconds: Option<f32>,
    raw: usize,
    gzip: usize,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kb = |bytes: usize| bytes.div_ceil(1000);
        write!(f, "worker: wasm {} kB, {} kB gzip", kb(self.raw), kb(self.gzip))?;
        match self.seconds {
            Some(seconds) => write!(f, ", built in {seconds:.1} s"),
            None => write!(f, ", unchanged"),
        }
    }
}

impl WorkerTools {
    pub(crate) fn find(root: &Path, cache: &Cache, report: &Report) -> Result<Self> {
        Ok(Self {
            target: wasm_target::find(cache, report)?,
            cargo: cargo_tools::find(root, cache, report)?,
        })
    }

    pub(crate) fn build(&self, root: &Path, node: &Node, js: &JsTools, ui: &JsTools) -> Result<Built> {
        let started = Instant::now();
        // Beside the host's artefacts: another compiler and other locks.
        let target_dir = root.join("target/worker");
        fs::create_dir_all(&target_dir)?;
        // Two at once would each change what the other has just written: wrangler, the tests and a person may all build.
        let _one_at_a_time = cache::lock(
            &target_dir.join("build.lock"),
            "another build of the Worker in this tree",
        )?;
        admin_ui::build(root, node, ui)?;
        let stamp_file = target_dir.join("build.stamp");
        let stamp = self.stamp(root)?;
        let text = root.join(ENTRY).with_file_name(TEXT_MODULE);
        let complete = root.join(MODULE).is_file() && root.join(ENTRY).is_file() && text.is_file();
        if complete && fs::read_to_string(&stamp_file).is_ok_and(|last| last == stamp) {
            return measured(root, None);
        }
        let mut build = command(&self.cargo.worker_build);
        build
            .arg("--release")
            .current_dir(root)
            .env("PATH", path_with(&node.bin)?)
            .env("CARGO_TARGET_DIR", &target_dir)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", RUSTFLAGS)
            .env("WASM_BINDGEN_BIN", &self.cargo.wasm_bindgen)
            .env("WASM_OPT_BIN", js.wasm_opt())
            .env("ESBUILD_BIN", js.esbuild());
        for (name, value) in &self.target.env {
            if name == "PATH" {
                build.env(name, joined_path(&node.bin, value)?);
            } else {
                build.env(name, value);
            }
        }
        // Whatever `cargo xtask` itself was started with is about xtask.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" || name == "CARGO" {
                build.env_remove(name);
            }
        }
        let status = build.status().context("worker-build cannot be started")?;
        if !status.success() {
            bail!("the Worker does not build ({status}); the reason is above");
        }
        optimize(root, node, js)?;
        add_api_document(root)?;
        fs::write(&stamp_file, stamp)?;
        measured(root, Some(started.elapsed().as_secs_f32()))
    }

    fn stamp(&self, root: &Path) -> Result<String> {
        let mut files = Vec::new();
        for input in INPUTS {
            cache::collect(&root.join(input), &mut files)?;
        }
        files.sort();
        let mut parts = vec![
            self.target.compiler.clone().into_bytes(),
            RUSTFLAGS.into(),
            self.cargo.worker_build.as_os_str().as_encoded_bytes().to_vec(),
            self.cargo.wasm_bindgen.as_os_str().as_encoded_bytes().to_vec(),
            fs::read(root.join("package-lock.json")).unwrap_or_default(),
        ];
        for file in files {
            parts.push(file.as_os_str().as_encoded_bytes().to_vec());
            parts.push(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        }
        Ok(fingerprint(parts.iter().map(Vec::as_slice)))
    }
}

/// Makes the module small and takes the functions' names out: they are an eighth of it, compressed, and serve only
/// stack traces. A panic says its file and line without them. worker-build itself insists on keeping them.
///
/// Functions with one caller stay functions unless they are tiny. Merged into that caller, whose locals they share,
/// they are 1 % fewer bytes and compress a tenth worse.
///
/// Last they are put in an order in which gzip sees that they are alike ([`function_order`]): 17 kB less than in the order
/// of their names, which is better by far than the order by use, which saves 7 bytes.
///
/// The lowest kilobyte is the far end of the stack: nothing is there that an offset could be folded away from.
fn optimize(root: &Path, node: &Node, js: &JsTools) -> Result<()> {
    let shrink = [
        "--low-memory-unused",
        "-Oz",
        "-Os",
        "--one-caller-inline-max-function-size",
        "10",
        "--strip-debug",
        "--strip-producers",
    ];
    wasm_opt(root, node, js, &shrink)?;
    // Without the last four the module would be written less tightly than it was read.
    let put_in_order = [
        "--reorder-functions-by-name",
        "--strip-debug",
        "--optimize-level=2",
        "--shrink-level=2",
        "--generate-stack-ir",
        "--optimize-stack-ir",
    ];
    // Again and again: a call names a function by its place, so that bodies are others once they were put in order.
    for _ in 0..3 {
        let module = root.join(MODULE);
        let named = function_order::named_by_place(&fs::read(&module)?).context(MODULE)?;
        fs::write(&module, named)?;
        wasm_opt(root, node, js, &put_in_order)?;
    }
    Ok(())
}

fn wasm_opt(root: &Path, node: &Node, js: &JsTools, passes: &[&str]) -> Result<()> {
    let module = root.join(MODULE);
    let status = command(js.wasm_opt())
        .env("PATH", path_with(&node.bin)?)
        .args(passes)
        .args(WASM_FEATURES.map(|feature| format!("--enable-{feature}")))
        .arg("-o")
        .args([&module, &module])
        .status()
        .context("wasm-opt cannot be started")?;
    anyhow::ensure!(status.success(), "wasm-opt could not shrink {MODULE} ({status})");
    Ok(())
}

/// Puts the API's document beside the module, and imports it under the name by which `src/api/mod.rs` knows it. Compressed it
/// is 13 kB, which would be in every instance of the module.
fn add_api_document(root: &Path) -> Result<()> {
    let entry = root.join(ENTRY);
    let code = fs::read_to_string(&entry).with_context(|| format!("worker-build left no {ENTRY}"))?;
    fs::write(
        &entry,
        format!("import apiDocument from\"./{TEXT_MODULE}\";{code}"),
    )?;
    let text = entry.with_file_name(TEXT_MODULE);
    fs::copy(root.join(API_DOCUMENT), text).with_context(|| format!("cannot copy {API_DOCUMENT}"))?;
    Ok(())
}

fn joined_path(first: &Path, rest: &std::ffi::OsStr) -> Result<std::ffi::OsString> {
    let all = std::iter::once(first.to_owned()).chain(std::env::split_paths(rest));
    Ok(std::env::join_paths(all)?)
}

fn measured(root: &Path, seconds: Option<f32>) -> Result<Built> {
    let module = fs::read(root.join(MODULE)).with_context(|| format!("worker-build left no {MODULE}"))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&module)?;
    Ok(Built {
        seconds,
        raw: module.len(),
        gzip: encoder.finish()?.len(),
    })
}
