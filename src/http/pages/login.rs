//! The sign-in page.

use maud::{Markup, html};
use moltworker_core::http::paths;
use moltworker_core::identity::sign_in::Provider;
use moltworker_core::settings::Settings;
use worker::url::form_urlencoded;

use crate::http::nonce::Nonce;

/// What the sign-in page shows.
pub(crate) struct LoginPage<'a> {
    /// Where to go afterwards: a path on this host.
    pub(crate) next: &'a str,
    /// The address that was typed, when the page is shown again.
    pub(crate) email: &'a str,
    /// What went wrong the last time.
    pub(crate) message: Option<Message>,
    /// Who is signed in already.
    pub(crate) signed_in_as: Option<&'a str>,
    /// A mail is on its way; the code in it can be typed here.
    pub(crate) asks_for_code: bool,
    /// Whoever signs in here is asked for a second factor, and enrols one if they have none.
    pub(crate) wants_second_factor: bool,
    /// Other ways in.
    pub(crate) providers: &'a [Provider],
}

/// Why somebody is not signed in. Says nothing about whether an account exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    WrongPassword,
    WrongCode,
    TooMany,
    Unavailable,
    NotForThisAccount,
    NotStarted,
    LinkExpired,
    ProviderRefused,
    /// A second factor is asked for, and was not proven in this session.
    SecondFactor,
    /// The second factor is of a kind these pages cannot ask for.
    OtherFactor,
    TooManyCodes,
}

impl Message {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::WrongPassword | Self::WrongCode | Self::LinkExpired | Self::ProviderRefused => 401,
            Self::TooMany | Self::TooManyCodes => 429,
            Self::Unavailable => 503,
            Self::NotForThisAccount | Self::OtherFactor => 403,
            Self::SecondFactor => 200,
            Self::NotStarted => 400,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::WrongPassword => "E-mail or password is wrong.",
            Self::WrongCode => "The code is wrong or has expired.",
            Self::TooMany => "Too many tries. Wait a minute and try again.",
            Self::Unavailable => "Sign-in is not available right now. Try again in a moment.",
            Self::NotForThisAccount => "This account cannot use a bot here. Ask your administrator.",
            Self::NotStarted => {
                "This sign-in was not started in this browser, or took too long. Sign in here; a link from a \
                 mail works only in the browser that asked for it."
            }
            Self::SecondFactor => "Sign in again: then you are asked for your second factor, or set one up.",
            Self::OtherFactor => {
                "The second factor of this account is no authenticator app, and this page knows no other kind. Add an \
                 authenticator app where you set the other one up, or ask your administrator."
            }
            Self::TooManyCodes => "Too many wrong codes. Wait an hour and try again.",
            Self::LinkExpired => "The link has expired or was used before. Ask for a new one.",
            Self::ProviderRefused => "The other site did not sign you in. Try again, or choose another way.",
        }
    }
}

impl<'a> LoginPage<'a> {
    /// The empty form.
    pub(crate) fn new(settings: &'a Settings, next: &'a str) -> Self {
        Self {
            next,
            email: "",
            message: None,
            signed_in_as: None,
            asks_for_code: false,
            wants_second_factor: false,
            providers: &settings.oauth_providers,
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

pub(crate) fn page(nonce: &Nonce, page: &LoginPage<'_>) -> Markup {
    let main = html! {
        h1 { "Your bot" }
        @if let Some(name) = page.signed_in_as {
            p { "You are signed in as " strong { (name) } "." }
            p { a.button href=(page.next) { "Open my bot" } }
            p { a href={ (paths::SECOND_FACTOR) "?" (to(page.next)) } { "Protect this account with a second factor" } }
            form method="post" action=(paths::SIGN_OUT) { button.quiet type="submit" { "Sign out" } }
        } @else if page.asks_for_code {
            (code(page))
        } @else {
            (ways_in(page))
        }
    };
    super::layout("Sign in", nonce, &html! {}, &main)
}

fn ways_in(page: &LoginPage<'_>) -> Markup {
    html! {
        p { "Sign in to reach it. Nobody else can." }
        (message(page.message))
        @if !page.providers.is_empty() {
            nav aria-label="Sign in with" {
                @for provider in page.providers {
                    a.button.quiet href=(start(*provider, page.next)) { "Continue with " (provider.label()) }
                }
            }
            p.or { "or" }
        }
        form method="post" action=(paths::LOGIN) {
            input type="hidden" name="next" value=(page.next);
            (second_factor_field(page))
            label for="email" { "E-mail" }
            input #email name="email" type="email" autocomplete="username" required autofocus value=(page.email)
                aria-describedby=[page.message.map(|_| "message")];
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required
                aria-describedby=[page.message.map(|_| "message")];
            button type="submit" { "Sign in" }
            // Needs no password, so it skips the browser's check; the server has its own.
            button.quiet type="submit" name="way" value="link" formnovalidate { "E-mail me a link instead" }
        }
    }
}

fn code(page: &LoginPage<'_>) -> Markup {
    html! {
        p role="status" {
            "If " strong { (page.email) } " has an account here, a mail is on its way. Open the link in it in this \
             browser, or type the code it contains."
        }
        (message(page.message))
        form method="post" action=(paths::LOGIN) {
            input type="hidden" name="next" value=(page.next);
            input type="hidden" name="email" value=(page.email);
            input type="hidden" name="way" value="code";
            (second_factor_field(page))
            label for="code" { "Code" }
            input #code name="code" inputmode="numeric" autocomplete="one-time-code" required autofocus
                aria-describedby=[page.message.map(|_| "message")];
            button type="submit" { "Sign in" }
        }
        p { a href=(again(page.next)) { "Start again" } }
    }
}

pub(super) fn message(message: Option<Message>) -> Markup {
    html! {
        @if let Some(message) = message { p.error #message role="alert" { (message.text()) } }
    }
}

fn second_factor_field(page: &LoginPage<'_>) -> Markup {
    html! { @if page.wants_second_factor { input type="hidden" name="second_factor" value="yes"; } }
}

fn start(provider: Provider, next: &str) -> String {
    format!("{}?{}", paths::sign_in_with(provider.as_str()), to(next))
}

pub(super) fn again(next: &str) -> String {
    format!("{}?{}", paths::LOGIN, to(next))
}

fn to(next: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("next", next)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: LoginPage<'_> = LoginPage {
        next: "/chat?session=main&x=\"><script>",
        email: "\"><script>alert(1)</script>",
        message: Some(Message::WrongPassword),
        signed_in_as: None,
        asks_for_code: false,
        wants_second_factor: false,
        providers: &[Provider::Github],
    };

    #[test]
    fn form_input_is_escaped() {
        let signed_in = LoginPage {
            signed_in_as: Some("<script>"),
            ..SHOWN
        };
        let code = LoginPage {
            asks_for_code: true,
            ..SHOWN
        };
        for shown in [SHOWN, signed_in, code] {
            let html = page(&Nonce::for_tests(), &shown).into_string();
            assert!(
                !html.contains("<script>") && html.contains("&lt;script&gt;"),
                "{html}"
            );
        }
    }

    #[test]
    fn every_field_has_a_label_and_every_error_an_alert_role() {
        for asks_for_code in [false, true] {
            let shown = LoginPage {
                asks_for_code,
                ..SHOWN
            };
            let html = page(&Nonce::for_tests(), &shown).into_string();
            let fields = html.matches("<input id=").count();
            assert!(fields > 0);
            assert_eq!(html.matches("<label for=").count(), fields, "{html}");
            assert_eq!(html.matches("role=\"alert\"").count(), 1);
            assert_eq!(html.matches("aria-describedby=\"message\"").count(), fields);
        }
    }

    #[test]
    fn provider_links_carry_the_requested_page() {
        let html = page(&Nonce::for_tests(), &SHOWN).into_string();
        assert!(
            html.contains(
                "href=\"/auth/sign-in/github?next=%2Fchat%3Fsession%3Dmain%26x%3D%22%3E%3Cscript%3E\""
            ),
            "{html}"
        );
    }
}
