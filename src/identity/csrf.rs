//! The CSRF token of a session: what the owner's own page adds to its cookie. `core::http::own_page` says what it is worth.

use moltworker_core::base64;
use moltworker_core::http::own_page::{CSRF_HEADER, CSRF_PURPOSE, PageProof, Sent};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::session::SessionId;
use moltworker_core::secret::Secret;
use moltworker_core::settings::Settings;

use crate::http::incoming::Incoming;
use crate::http::sites::Served;
use crate::identity::caller::Caller;
use crate::platform::{log, webcrypto};

/// The token of the caller's session on this site; nothing for who has none, and where a bot's page could read it too.
///
/// # Errors
/// The runtime's.
pub(crate) async fn token(
    settings: &Settings,
    served: &Served,
    caller: &Caller,
) -> worker::Result<Option<Secret<String>>> {
    match (served, caller, &settings.access.bot_domain) {
        (Served::Platform, Caller::Browser(_, session), Some(_)) => Ok(Some(of(settings, session).await?)),
        _ => Ok(None),
    }
}

/// A MAC of the session's name, which is as secret as its cookie and stays the same when that is renewed.
async fn of(settings: &Settings, session: &SessionId) -> worker::Result<Secret<String>> {
    let key = webcrypto::derive(settings.session_key.reveal(), CSRF_PURPOSE).await?;
    let key = webcrypto::import_mac_key(&key).await?;
    let mac = webcrypto::mac(&key, session.as_str().as_bytes()).await?;
    Ok(Secret::new(base64::encode_url(mac)))
}

/// Whether the owner's own page sent this request of `caller`.
pub(crate) async fn proof(
    settings: &Settings,
    served: &Served,
    caller: &Caller,
    incoming: &Incoming,
) -> PageProof {
    let headers = &incoming.headers;
    let Some(token) = headers.get(CSRF_HEADER) else {
        return PageProof::Absent;
    };
    let expected = match self::token(settings, served, caller).await {
        Ok(expected) => expected,
        Err(error) => {
            log::fault("csrf-token-not-made", &[("reason", &error)]);
            return PageProof::Refused(Refusal::Internal);
        }
    };
    let sent = Sent {
        method: &incoming.method,
        token,
        origin: headers.get("origin"),
        site: headers.get("sec-fetch-site"),
    };
    PageProof::of(&sent, expected.as_ref(), served.origin(settings))
}
