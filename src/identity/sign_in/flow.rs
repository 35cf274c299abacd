//! A sign-in that goes by way of another site: begun with a sealed cookie, ended only by the browser that has it.

use moltworker_core::base64;
use moltworker_core::http::cookies::{clear, find, set};
use moltworker_core::http::paths;
use moltworker_core::identity::sign_in::{FLOW_COOKIE, FLOW_SECONDS, Flow};
use moltworker_core::settings::Settings;
use worker::Headers;
use worker::url::form_urlencoded;

use crate::identity::caller::header;
use crate::identity::sealed;
use crate::platform::{clock, webcrypto};

/// 32 random bytes are 43 characters, the shortest a PKCE verifier may be (RFC 7636 §4.1).
const RANDOM_BYTES: u32 = 32;

/// What a sign-in begins with.
pub(super) struct Begun {
    /// The `Set-Cookie` that lets this browser end it.
    pub(super) cookie: String,
    /// The PKCE challenge for the provider: SHA-256 of the verifier.
    pub(super) challenge: String,
    /// Where the provider is to lead back to.
    pub(super) callback: String,
}

/// Begins one that is to end at `next`.
pub(super) async fn begin(settings: &Settings, next: &str) -> worker::Result<Begun> {
    let random = || Ok::<_, worker::Error>(base64::encode_url(webcrypto::random_bytes(RANDOM_BYTES)?));
    let flow = Flow {
        state: random()?,
        verifier: random()?,
        next: next.to_owned(),
        ends_at: clock::now_seconds().saturating_add(FLOW_SECONDS),
    };
    let challenge = base64::encode_url(webcrypto::sha256(flow.verifier.as_bytes()).await?);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("state", &flow.state)
        .finish();
    let sealed = sealed::seal(settings, FLOW_COOKIE, &flow).await?;
    Ok(Begun {
        cookie: set(FLOW_COOKIE, &sealed, FLOW_SECONDS),
        challenge,
        callback: format!("{}{}?{query}", settings.public.as_str(), paths::SIGN_IN_CALLBACK),
    })
}

/// The sign-in this browser began, if the answer with `state` belongs to it.
pub(super) async fn ended(headers: &Headers, settings: &Settings, state: Option<&str>) -> Option<Flow> {
    let cookies = header(headers, "cookie")?;
    let flow: Flow = sealed::open(settings, FLOW_COOKIE, find(&cookies, FLOW_COOKIE)?).await?;
    flow.accepts(state, clock::now_seconds()).then_some(flow)
}

/// The `Set-Cookie` after which it cannot be ended again.
pub(super) fn forget() -> String {
    clear(FLOW_COOKIE)
}
