//! What `doctor` and `deploy` take from the environment; read here and nowhere else. Secrets come this way, because a
//! command line is seen by every user of a machine and kept in a shell's history.

use super::cloudflare::DEFAULT_BASE_URL;
use super::platform::TestUser;

/// Wrangler's own names for these three.
const API_TOKEN: &str = "CLOUDFLARE_API_TOKEN";
const ACCOUNT_ID: &str = "CLOUDFLARE_ACCOUNT_ID";
const API_BASE_URL: &str = "CLOUDFLARE_API_BASE_URL";
const MONITOR_TOKEN: &str = "MOLTWORKER_MONITOR_TOKEN";
const TEST_EMAIL: &str = "MOLTWORKER_TEST_EMAIL";
const TEST_PASSWORD: &str = "MOLTWORKER_TEST_PASSWORD";

/// Who asks.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) api_base_url: String,
    pub(crate) api_token: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) monitor_token: Option<String>,
    test_email: Option<String>,
    test_password: Option<String>,
}

impl Credentials {
    pub(crate) fn from_environment() -> Self {
        Self::from_lookup(variable)
    }

    pub(crate) fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            api_base_url: get(API_BASE_URL).unwrap_or_else(|| DEFAULT_BASE_URL.to_owned()),
            api_token: get(API_TOKEN),
            account: get(ACCOUNT_ID),
            monitor_token: get(MONITOR_TOKEN),
            test_email: get(TEST_EMAIL),
            test_password: get(TEST_PASSWORD),
        }
    }

    /// Both halves or nobody.
    pub(crate) fn test_user(&self) -> Option<TestUser> {
        Some(TestUser {
            email: self.test_email.clone()?,
            password: self.test_password.clone()?,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of `doctor` and `deploy` that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}
