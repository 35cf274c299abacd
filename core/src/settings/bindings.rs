//! What `wrangler.toml` binds to the Worker, declared once: the code takes the names from here, `tests/tidy.rs` compares
//! `wrangler.toml` with it, and the tests' harness binds the same by `tests/contract/bindings.json`, which
//! `cargo xtask openapi` writes.

use crate::http::rate_limits::{ADDRESS_LIMIT, SIGN_IN_LIMIT, USER_LIMIT};

/// The Durable Object namespace of Sandboxes.
pub const SANDBOX_BINDING: &str = "SANDBOX";
/// The D1 database.
pub const DATABASE_BINDING: &str = "DB";
/// The R2 bucket of backups.
pub const BUCKET_BINDING: &str = "BUCKET";
/// The queue of jobs.
pub const JOBS_BINDING: &str = "JOBS";
/// The dataset of Analytics Engine for the long history.
pub const SERIES_BINDING: &str = "SERIES";

/// The files of the admin UI.
pub const ASSETS_BINDING: &str = "ASSETS";

/// Every binding.
pub const BINDINGS: [Binding; 9] = [
    Binding {
        name: SANDBOX_BINDING,
        kind: BindingKind::DurableObject,
        meaning: "the Durable Object namespace of the bots",
        required: true,
    },
    Binding {
        name: DATABASE_BINDING,
        kind: BindingKind::Database,
        meaning: "the D1 database",
        required: true,
    },
    Binding {
        name: BUCKET_BINDING,
        kind: BindingKind::Bucket,
        meaning: "the R2 bucket of the backups",
        required: true,
    },
    Binding {
        name: JOBS_BINDING,
        kind: BindingKind::Queue,
        meaning: "the queue of jobs",
        required: false,
    },
    Binding {
        name: ASSETS_BINDING,
        kind: BindingKind::Assets,
        meaning: "the files of the admin UI",
        required: false,
    },
    Binding {
        name: SERIES_BINDING,
        kind: BindingKind::Dataset,
        meaning: "the dataset of the long history",
        required: false,
    },
    rate_limit(ADDRESS_LIMIT),
    rate_limit(USER_LIMIT),
    rate_limit(SIGN_IN_LIMIT),
];

const fn rate_limit(name: &'static str) -> Binding {
    Binding {
        name,
        kind: BindingKind::RateLimit,
        meaning: "a rate limit",
        required: true,
    }
}

/// What `wrangler.toml` has to bind to the Worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Its name in `wrangler.toml`.
    pub name: &'static str,
    /// What it is.
    pub kind: BindingKind,
    /// What it is for, in a few words.
    pub meaning: &'static str,
    /// Whether the Worker cannot do without it.
    pub required: bool,
}

/// What a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// A namespace of Durable Objects.
    DurableObject,
    /// A D1 database.
    Database,
    /// An R2 bucket.
    Bucket,
    /// A queue that is written to.
    Queue,
    /// Static files that are deployed with the Worker. There is one such binding, and no list of them.
    Assets,
    /// A dataset of Analytics Engine that is written to.
    Dataset,
    /// A rate limit.
    RateLimit,
}

impl BindingKind {
    /// The list (or the one table) in `wrangler.toml` that has it, and under what an entry of it has the name.
    pub fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::DurableObject => ("durable_objects.bindings", "name"),
            Self::Database => ("d1_databases", "binding"),
            Self::Bucket => ("r2_buckets", "binding"),
            Self::Queue => ("queues.producers", "binding"),
            Self::Assets => ("assets", "binding"),
            Self::Dataset => ("analytics_engine_datasets", "binding"),
            Self::RateLimit => ("ratelimits", "name"),
        }
    }
}
