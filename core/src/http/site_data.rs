//! What browsers keep of a bot's own host goes with the home it came from. A service worker that a page of the bot's left
//! there would go on answering for the restored bot, with files of before or worse.

use super::cookies;

/// How long browsers are told of a restore: as long as one keeps a cookie, by which it is told once. A service worker stays for
/// as long as its script is not found changed, and one that the restored home does not have is not found at all.
pub const CLEARED_FOR_MS: u64 = 400 * 24 * 60 * 60 * 1_000;
/// Names the restore that this browser was last told of.
pub const CLEARED_COOKIE: &str = "__Host-moltbot-cleared";
/// `Clear-Site-Data`: service workers with their caches, and what pages stored. Not cookies: the session is ours.
pub const CLEARED: &str = "\"storage\"";

/// The restore that a browser still has to be told of: the one the Sandbox names, if the browser's cookies name another
/// one or none.
pub fn restore_to_tell(named: Option<&str>, cookie_header: Option<&str>) -> Option<u64> {
    let restored_at = named?.parse().ok()?;
    let told = cookie_header.and_then(|header| cookies::find(header, CLEARED_COOKIE));
    let known = told.and_then(|told| told.parse::<u64>().ok());
    (known != Some(restored_at)).then_some(restored_at)
}

/// `Set-Cookie` by which this browser is told once.
pub fn told_cookie(restored_at: u64) -> String {
    cookies::set(CLEARED_COOKIE, &restored_at.to_string(), CLEARED_FOR_MS / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_browser_is_told_of_a_restore_once() {
        for (named, cookies, expected) in [
            (None, None, None),
            (Some("7"), None, Some(7)),
            (Some("7"), Some("a=1"), Some(7)),
            (Some("7"), Some("a=1; __Host-moltbot-cleared=7"), None),
            (Some("8"), Some("__Host-moltbot-cleared=7"), Some(8)),
            (Some("7"), Some("__Host-moltbot-cleared=x"), Some(7)),
            (Some("7; Path=/"), None, None),
            (Some(""), None, None),
        ] {
            assert_eq!(restore_to_tell(named, cookies), expected, "{named:?} {cookies:?}");
        }
        let cookie = told_cookie(7);
        assert_eq!(restore_to_tell(Some("7"), cookie.split(';').next()), None);
    }
}
