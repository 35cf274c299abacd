#!/bin/sh
# Part of the image's build: starts the gateway once, through the supervisor and with the paths it has at
# run time, until it is ready, and keeps what Node compiled on the way.
set -eu

token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export MOLTBOT_USER_ID=00000000-0000-4000-8000-000000000001
export MOLTBOT_RUN=0
export MOLTBOT_CONTROL_TOKEN="$token"
export MOLTBOT_ALLOWED_ORIGINS=http://localhost
export MOLTBOT_HOME=/tmp/warm-up

moltbot-supervisor &
supervisor=$!
tries=0
# The ingress holds a request until the gateway is ready, and then the page is the gateway's.
until node -e 'fetch("http://127.0.0.1:8080/").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))'; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$supervisor"; then
        echo 'The gateway did not become ready.' >&2
        exit 1
    fi
    sleep 1
done
kill -TERM "$supervisor"
wait "$supervisor"
# Logs, locks and the home of this run are not the bot's.
find /tmp -mindepth 1 -maxdepth 1 ! -name node-compile-cache -exec rm -rf {} +
test -n "$(ls /tmp/node-compile-cache)"
