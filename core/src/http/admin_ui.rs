//! The admin UI as browsers get it: which of its addresses is a file and which is the page, and what that page may do.

use super::paths::ADMIN_UI_FILES;

/// How long a browser keeps such a file without asking again: its name never gets another content.
pub const KEEP_FILE: &str = "public, max-age=31536000, immutable";

/// What an address of the UI means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminUiPart<'a> {
    /// The page; what it shows for this address, its script knows.
    Page,
    /// The file at this path.
    File(&'a str),
    /// A file's address of a form that no file has.
    Nothing,
}

/// What this path means. Names of files are letters, digits and `._-`: nothing in them is to be decoded on the way.
pub fn part(path: &str) -> AdminUiPart<'_> {
    let Some(name) = path.strip_prefix(ADMIN_UI_FILES) else {
        return AdminUiPart::Page;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_file = name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if is_file && name.bytes().all(plain) {
        AdminUiPart::File(path)
    } else {
        AdminUiPart::Nothing
    }
}

/// What a browser says of a request, in headers that no page can set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sender<'a> {
    /// `Origin`: the page it comes from.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: how that page is related to this host.
    pub site: Option<&'a str>,
    /// `Sec-Fetch-Mode`: whether a script asks, or somebody goes there.
    pub mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`: what the answer is for.
    pub dest: Option<&'a str>,
}

impl Sender<'_> {
    /// Whether a script of a page of this host (`served`) asks for data. Nothing may be missing: a browser that does not say
    /// all of it signs in again at each reload.
    pub fn is_own_page(self, served: &str) -> bool {
        self.origin
            .is_some_and(|origin| origin.eq_ignore_ascii_case(served))
            && self.site == Some("same-origin")
            && matches!(self.mode, Some("cors" | "same-origin"))
            && self.dest == Some("empty")
    }
}

/// What the page may do, as `Content-Security-Policy`: run scripts of this host alone, none that stand in the page; speak
/// with this host and, to sign in, with the identity provider; and be in nobody's frame. Pictures in the page itself are the
/// QR code of an authenticator app, which the identity provider draws.
pub fn policy(identity_provider: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self' {identity_provider}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_the_page_but_those_of_files() {
        for path in [
            "/admin/",
            "/admin/bots",
            "/admin/assets",
            "/admin/bots/assets/x.js",
            "/admin/%61ssets/x.js",
        ] {
            assert_eq!(part(path), AdminUiPart::Page, "{path}");
        }
        for path in ["/admin/assets/index-B1xJ_9-a.js", "/admin/assets/_a.css"] {
            assert_eq!(part(path), AdminUiPart::File(path));
        }
        for path in [
            "/admin/assets/",
            "/admin/assets/.x",
            "/admin/assets/a/b.js",
            "/admin/assets/..%2findex.html",
            "/admin/assets/a%00.js",
        ] {
            assert_eq!(part(path), AdminUiPart::Nothing, "{path}");
        }
    }

    #[test]
    fn only_a_script_of_this_host_takes_a_token_for_the_cookie() {
        let served = "https://bots.example.com";
        let own = Sender {
            origin: Some(served),
            site: Some("same-origin"),
            mode: Some("cors"),
            dest: Some("empty"),
        };
        assert!(own.is_own_page(served));
        for other in [
            Sender::default(),
            Sender { origin: None, ..own },
            Sender {
                origin: Some("null"),
                ..own
            },
            Sender {
                origin: Some("https://alice.bots.example.com"),
                ..own
            },
            Sender {
                origin: Some("https://bots.example.com.evil.test"),
                ..own
            },
            Sender { site: None, ..own },
            Sender {
                site: Some("same-site"),
                ..own
            },
            Sender {
                site: Some("none"),
                ..own
            },
            Sender {
                mode: Some("navigate"),
                ..own
            },
            Sender {
                mode: Some("no-cors"),
                ..own
            },
            Sender {
                dest: Some("iframe"),
                ..own
            },
            Sender { dest: None, ..own },
        ] {
            assert!(!other.is_own_page(served), "{other:?}");
        }
    }

    #[test]
    fn the_page_runs_only_scripts_of_this_host_and_is_framed_by_nobody() {
        let policy = policy("https://abcd.supabase.co");
        let directives: Vec<_> = policy.split("; ").collect();
        for wanted in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self' https://abcd.supabase.co",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(directives.contains(&wanted), "{wanted} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
