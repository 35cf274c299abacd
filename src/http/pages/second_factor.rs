//! The second step of signing in: a code, and before the first one the enrolment of the app that makes it.

use maud::{Markup, html};
use moltworker_core::base64;
use moltworker_core::http::paths;
use moltworker_core::identity::mfa::Enrolment;

use super::login::{Message, again};
use crate::http::nonce::Nonce;

/// What the page asks for.
pub(crate) enum Ask<'a> {
    /// A code of the app that is enrolled.
    Code,
    /// Leave to enrol one.
    Enrol,
    /// A first code of this one.
    NewApp(&'a Enrolment),
}

/// What the page shows.
pub(crate) struct SecondFactorPage<'a> {
    ask: Ask<'a>,
    /// Where the sign-in leads to: a path on this host.
    next: &'a str,
    /// What went wrong the last time.
    message: Option<Message>,
}

impl<'a> SecondFactorPage<'a> {
    pub(crate) fn new(ask: Ask<'a>, next: &'a str) -> Self {
        Self {
            ask,
            next,
            message: None,
        }
    }

    /// The same with a message.
    pub(crate) fn with(self, message: Message) -> Self {
        Self {
            message: Some(message),
            ..self
        }
    }
}

pub(crate) fn page(nonce: &Nonce, page: &SecondFactorPage<'_>) -> Markup {
    let main = html! {
        h1 { "Second factor" }
        @match &page.ask {
            Ask::Code => {
                p { "Type the code your authenticator app shows for this account. It changes every 30 seconds." }
                (super::login::message(page.message))
                (code_form(page))
            }
            Ask::Enrol => {
                p {
                    "This account needs a second factor: an app on your phone (an authenticator, or a password manager) \
                     that makes codes. Have it at hand, then set it up here."
                }
                (super::login::message(page.message))
                form method="post" action=(paths::SECOND_FACTOR) {
                    button type="submit" name="way" value="begin" autofocus { "Set up an authenticator app" }
                }
            }
            Ask::NewApp(enrolment) => {
                p { "Scan this with your authenticator app, or type the key into it." }
                // As a picture: in one nothing runs, wherever it comes from.
                p { img.qr src=(drawing(&enrolment.qr_code)) alt="A QR code of the key below"; }
                p { "Key: " code #key { (enrolment.secret) } }
                p { "It is shown this once. Then type the code the app shows." }
                (code_form(page))
            }
        }
        p { a href=(again(page.next)) { "Start again" } }
    };
    super::layout("Second factor", nonce, &html! {}, &main)
}

fn code_form(page: &SecondFactorPage<'_>) -> Markup {
    html! {
        form method="post" action=(paths::SECOND_FACTOR) {
            label for="code" { "Code" }
            input #code name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus
                aria-describedby=[page.message.map(|_| "message")];
            button type="submit" { "Go on" }
        }
    }
}

fn drawing(svg: &str) -> String {
    format!("data:image/svg+xml;base64,{}", base64::encode(svg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ask: Ask<'_>) -> String {
        let shown = SecondFactorPage::new(ask, "/\"><script>").with(Message::WrongCode);
        page(&Nonce::for_tests(), &shown).into_string()
    }

    #[test]
    fn what_the_provider_draws_cannot_run() {
        let enrolment: Enrolment = serde_json::from_value(serde_json::json!({
            "factor": "34e770dd-9ff9-416c-87fa-43b31d7ef225",
            "qr_code": "<svg><script>alert(1)</script></svg>",
            "secret": "<script>",
        }))
        .unwrap();
        let html = shown(Ask::NewApp(&enrolment));
        assert!(!html.contains("<script>") && !html.contains("<svg"), "{html}");
        assert!(
            html.contains("src=\"data:image/svg+xml;base64,PHN2Zz48c2NyaXB0"),
            "{html}"
        );
    }

    #[test]
    fn a_wrong_code_is_announced_beside_its_field() {
        let html = shown(Ask::Code);
        assert_eq!(html.matches("role=\"alert\"").count(), 1);
        assert_eq!(html.matches("aria-describedby=\"message\"").count(), 1);
        assert_eq!(
            html.matches("<label for=").count(),
            html.matches("<input id=").count()
        );
        assert!(!html.contains("<script>"), "{html}");
    }
}
