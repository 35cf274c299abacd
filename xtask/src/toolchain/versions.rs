//! Every version the set-up pins, in one place. JavaScript tools are pinned in `/package-lock.json`,
//! wasm-bindgen-cli by the `wasm-bindgen` of `/Cargo.lock`, base images by the `FROM` lines of `/Dockerfile`.

/// The oldest Node that OpenClaw and wrangler both run on.
pub(crate) const NODE_OLDEST: (u32, u32) = (24, 16);
/// The Node that is installed where the machine's own is too old.
pub(crate) const NODE: &str = "24.21.0";
/// The npm beside it; also what the stand-in Node image carries.
pub(crate) const NPM: &str = "11.21.2";
/// Judges licences, sources and duplicates of crates, by `/deny.toml`.
pub(crate) const CARGO_DENY: &str = "0.20.2";
/// Lists the crates of a program.
pub(crate) const CARGO_SBOM: &str = "0.10.0";
pub(crate) const WORKER_BUILD: &str = "0.8.7";
/// What it stands on is pinned in `schemathesis.txt`: the same seed then makes the same requests.
pub(crate) const SCHEMATHESIS: &str = "4.32.5";
/// The sidecar that workerd of the pinned wrangler sends container traffic through.
pub(crate) const SIDECAR_IMAGE: &str = "cloudflare/proxy-everything:3cb1195@sha256:0ef6716c52430096900b150d84a3302057d6cd2319dae7987128c85d0733e3c8";
/// The Debian release of the stand-in base images.
pub(crate) const DEBIAN: &str = "bookworm";
/// Counts up when the stand-in images are made differently, so that old ones are rebuilt.
pub(crate) const STAND_IN_RECIPE: u32 = 1;
