//! Docker: the engine, the images, and the gaps between what is here and what wrangler expects.

mod debian;
mod engine;
mod images;
mod leftovers;
mod sidecar;
mod wrapper;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cache::Cache;
use super::report::Report;

pub(crate) struct Docker {
    /// Keeps the engine up for as long as this value lives.
    _engine: engine::Engine,
    /// The `docker` to build and run with: the wrapper where one is needed.
    pub(crate) program: PathBuf,
    pub(crate) env: Vec<(OsString, OsString)>,
}

pub(crate) fn find(root: &Path, cache: &Cache, report: &Report) -> Result<Docker> {
    let engine = engine::find(cache, report)?;
    images::find(root, cache, report)?;
    let sidecar = sidecar::find(cache, report)?;
    let program = wrapper::find(cache, report, sidecar.is_some())?;
    let mut env: Vec<(OsString, OsString)> = vec![("WRANGLER_DOCKER_BIN".into(), program.clone().into())];
    if let Some(image) = sidecar {
        env.push(("MINIFLARE_CONTAINER_EGRESS_IMAGE".into(), image.into()));
    }
    Ok(Docker {
        _engine: engine,
        program,
        env,
    })
}
