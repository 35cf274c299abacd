# The image of one bot: the supervisor as PID 1, and the gateway (OpenClaw) it starts.
# Base images are pinned by the digest of the index for all platforms; docs/set-up.md says how they are updated.

# --- The supervisor ---
FROM rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS supervisor
WORKDIR /build
# The dependencies first, with empty sources: they change with the manifests only, and so does this layer.
# Members of the workspace that are not in the image are named in its manifest and have to exist.
COPY Cargo.toml Cargo.lock ./
COPY core/Cargo.toml core/Cargo.toml
COPY container/Cargo.toml container/Cargo.toml
COPY xtask/Cargo.toml xtask/Cargo.toml
RUN mkdir -p src core/src container/src container/fake-gateway container/test-supervisor xtask/src \
    && touch src/lib.rs core/src/lib.rs container/src/lib.rs \
    && echo 'fn main() {}' \
        | tee container/src/main.rs container/fake-gateway/main.rs container/test-supervisor/main.rs \
        > xtask/src/main.rs \
    && cargo build --locked --release -p moltbot-supervisor --bin moltbot-supervisor
COPY core/src core/src
COPY container/src container/src
# Cargo goes by the time of a file, and a copied one may be older than its empty stand-in.
RUN touch core/src/lib.rs container/src/lib.rs container/src/main.rs \
    && cargo build --locked --offline --release -p moltbot-supervisor --bin moltbot-supervisor
# By these labels `cargo xtask` finds what earlier builds left. At the end: a change here costs no other step.
LABEL moltworker.stage=supervisor

# --- The gateway ---
FROM node:24.21-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS gateway
WORKDIR /opt/openclaw
COPY container/openclaw/ ./
# Everything it needs ships prebuilt, so no package's script is run. Its own remains: the gateway asks for it at
# its first start, which has to be here, as root; user moltbot cannot write to the tree.
# The compile cache goes by the time of package.json. Whole seconds, because a registry keeps no fractions.
RUN npm ci --ignore-scripts --omit=dev \
    && node node_modules/openclaw/openclaw.mjs --version \
    && touch --date='2026-01-01T00:00:00Z' node_modules/openclaw/package.json
LABEL moltworker.stage=gateway

# --- The bot ---
FROM node:24.21-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
RUN groupadd --gid 1500 moltbot \
    && useradd --uid 1500 --gid moltbot --home-dir /data/moltbot --no-create-home --shell /bin/bash moltbot \
    && install --directory --owner=moltbot --group=moltbot --mode=0700 /data/moltbot
COPY --from=gateway /opt/openclaw /opt/openclaw
COPY --from=supervisor /build/target/release/moltbot-supervisor /usr/local/bin/moltbot-supervisor
COPY container/warm-up.sh /tmp/warm-up.sh
# A first start compiles for ten seconds; what it compiled stays in the image. In this stage, because the
# cache goes by the times of the installed files.
RUN sh /tmp/warm-up.sh
COPY start-moltbot.sh /usr/local/bin/start-moltbot.sh
# The owner's traffic, and the Sandbox's orders.
EXPOSE 8080 8081
ENTRYPOINT ["start-moltbot.sh"]
LABEL moltworker.stage=bot
