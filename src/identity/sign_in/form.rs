//! What the sign-in page sends.

use worker::Request;
use worker::url::form_urlencoded;

use crate::identity::caller::header;

/// Bytes a sign-in form may have: an address (254), a password (Supabase takes 72), a path, percent-encoded.
const MAX_FORM_BYTES: u64 = 16 * 1024;

/// The form, well filled in.
pub(super) struct LoginForm {
    pub(super) email: String,
    /// As it came: a path on this host only after `safe_next`.
    pub(super) next: String,
    pub(super) way: SignInMethod,
    /// To be asked for a second factor, whether or not they must have one.
    pub(super) second_factor: bool,
}

/// How a person wants in.
pub(super) enum SignInMethod {
    Password(String),
    /// By a link in a mail that is still to be sent.
    Link,
    /// By the code beside that link.
    Code(String),
}

/// The fields of a form that one of our pages sends; `None` for anything else.
struct Fields(String);

impl Fields {
    async fn read(request: &mut Request) -> Option<Self> {
        let length: u64 = header(request.headers(), "content-length")?.parse().ok()?;
        let kind = header(request.headers(), "content-type")?;
        if length > MAX_FORM_BYTES || !kind.starts_with("application/x-www-form-urlencoded") {
            return None;
        }
        request.text().await.ok().map(Self)
    }

    /// A field that was filled in.
    fn get(&self, wanted: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(self.0.as_bytes());
        fields
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.is_empty())
    }
}

/// What the page of the second factor sends: a code, or the request to enrol (`None`). `None` for anything else.
pub(super) async fn read_code(request: &mut Request) -> Option<Option<String>> {
    let fields = Fields::read(request).await?;
    match fields.get("code") {
        Some(code) => Some(Some(code)),
        None => fields.get("way").filter(|way| way == "begin").map(|_| None),
    }
}

/// Reads it; `None` for anything our page does not send.
pub(super) async fn read(request: &mut Request) -> Option<LoginForm> {
    let fields = Fields::read(request).await?;
    let field = |wanted: &str| fields.get(wanted);
    let way = match field("way").as_deref() {
        Some("link") => SignInMethod::Link,
        // People copy codes with the spaces around and in them.
        Some("code") => SignInMethod::Code(field("code")?.split_whitespace().collect()),
        _ => SignInMethod::Password(field("password")?),
    };
    Some(LoginForm {
        email: field("email")?.trim().to_owned(),
        next: field("next").unwrap_or_default(),
        way,
        second_factor: field("second_factor").is_some(),
    })
}
