//! The sign-in page.

use maud::{Markup, html};

use crate::reply::Nonce;

/// What the sign-in page shows besides its form.
pub(crate) struct LoginPage<'a> {
    /// Where to go afterwards: a path on this host.
    pub(crate) next: &'a str,
    /// The address that was typed, when the page is shown again.
    pub(crate) email: &'a str,
    /// What went wrong the last time.
    pub(crate) message: Option<&'a str>,
    /// Who is signed in already.
    pub(crate) signed_in_as: Option<&'a str>,
}

/// The sign-in page.
pub(crate) fn page(nonce: &Nonce, page: &LoginPage<'_>) -> Markup {
    let main = html! {
        h1 { "Your bot" }
        @if let Some(name) = page.signed_in_as {
            p { "You are signed in as " strong { (name) } "." }
            p { a.button href=(page.next) { "Open my bot" } }
            form method="post" action="/auth/sign-out" { button.quiet type="submit" { "Sign out" } }
        } @else {
            p { "Sign in to reach it. Nobody else can." }
            @if let Some(message) = page.message { p.error role="alert" { (message) } }
            form method="post" action="/login" {
                input type="hidden" name="next" value=(page.next);
                label for="email" { "E-mail" }
                input #email name="email" type="email" autocomplete="username" required autofocus value=(page.email);
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button type="submit" { "Sign in" }
            }
        }
    };
    super::layout("Sign in", nonce, &html! {}, &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_typed_is_escaped() {
        let shown = LoginPage {
            next: "/\"><script>",
            email: "\"><script>alert(1)</script>",
            message: Some("<b>"),
            signed_in_as: None,
        };
        let html = page(&Nonce::for_tests(), &shown).into_string();
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
    }
}
