//! A browser on its way through the identity provider: which providers there are, and what binds the answer
//! that comes back to the browser that asked.

use serde::{Deserialize, Serialize};

use crate::http::cookies::COOKIE_PREFIX;

/// Declares the providers once: variant, Supabase's name, the name people know.
macro_rules! providers {
    ($($variant:ident = $name:literal, $label:literal;)+) => {
        /// The OAuth providers of Supabase Auth that sign people in without more than their name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Provider { $($variant),+ }

        impl Provider {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Supabase's name of it, in settings, paths and its API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What people call it.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }
    };
}

providers! {
    Apple = "apple", "Apple";
    Azure = "azure", "Microsoft";
    Bitbucket = "bitbucket", "Bitbucket";
    Discord = "discord", "Discord";
    Facebook = "facebook", "Facebook";
    Figma = "figma", "Figma";
    Fly = "fly", "Fly.io";
    Github = "github", "GitHub";
    Gitlab = "gitlab", "GitLab";
    Google = "google", "Google";
    Kakao = "kakao", "Kakao";
    Keycloak = "keycloak", "Keycloak";
    Linkedin = "linkedin_oidc", "LinkedIn";
    Notion = "notion", "Notion";
    Slack = "slack_oidc", "Slack";
    Spotify = "spotify", "Spotify";
    Twitch = "twitch", "Twitch";
    Twitter = "twitter", "Twitter";
    Workos = "workos", "WorkOS";
    Zoom = "zoom", "Zoom";
}

impl Provider {
    /// The provider of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|provider| provider.as_str() == name)
    }
}

/// The cookie that holds a sealed [`Flow`].
pub const FLOW_COOKIE: &str = "__Host-moltbot-sign-in";
const _: () = assert!(FLOW_COOKIE.len() > COOKIE_PREFIX.len());

/// Seconds a sign-in may take from the click to the answer. A mailed link is valid for an hour by Supabase's
/// default, and the browser that asked for it has to remember for as long.
pub const FLOW_SECONDS: u64 = 60 * 60;

/// A sign-in under way: kept sealed in the browser that began it, nowhere else.
///
/// An answer counts only if it carries `state`, which a stranger who sends somebody a link of their own
/// sign-in cannot know, and the code in it is worth nothing without `verifier` (PKCE, RFC 7636).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Comes back in the callback's query.
    pub state: String,
    /// The PKCE verifier; the provider has seen its hash only.
    pub verifier: String,
    /// Where to go afterwards: a path on this host.
    pub next: String,
    /// Seconds since 1970.
    pub ends_at: u64,
}

impl Flow {
    /// Whether an answer that carries `state` at `now` (seconds since 1970) is this sign-in's.
    pub fn accepts(&self, state: Option<&str>, now: u64) -> bool {
        now < self.ends_at && state == Some(self.state.as_str())
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flow(to {}, until {})", self.next, self.ends_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_browser_that_began_a_sign_in_ends_it() {
        let flow = Flow {
            state: "s".into(),
            verifier: "v".into(),
            next: "/".into(),
            ends_at: 100,
        };
        assert!(flow.accepts(Some("s"), 99));
        for (state, now) in [(Some("s"), 100), (Some("x"), 0), (Some(""), 0), (None, 0)] {
            assert!(!flow.accepts(state, now), "{state:?} at {now}");
        }
        assert!(!format!("{flow:?}").contains("v\""), "{flow:?}");
    }

    #[test]
    fn a_provider_is_known_by_its_exact_name() {
        for provider in Provider::ALL {
            assert_eq!(Provider::parse(provider.as_str()), Some(*provider));
        }
        for other in ["", "GitHub", "github ", "email", "../github"] {
            assert_eq!(Provider::parse(other), None, "{other}");
        }
    }
}
