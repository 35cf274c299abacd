//! The supervisor as it ships: its settings are the image's, and what the Sandbox says.

use std::process::ExitCode;

use moltbot_supervisor::Settings;

fn main() -> ExitCode {
    moltbot_supervisor::run(|get| Settings::from_env(get))
}
