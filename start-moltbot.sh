#!/bin/sh
# The container's entry point: makes sure that the bot's home is there, and becomes the supervisor.
set -eu

# /data may be a fresh disk: the home lies on it, and everything that must survive lies in the home.
mkdir -p /data/moltbot

# PID 1 from here on: it forwards signals, collects processes and starts the gateway (container/src/lib.rs).
exec moltbot-supervisor
