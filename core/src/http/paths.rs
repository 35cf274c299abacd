//! The paths that pages, redirects and other sites' answers lead to. The table of endpoints has them from here, and so does
//! whoever writes one into a page.

/// The sign-in page, and where its form goes.
pub const LOGIN: &str = "/login";
/// The page of the second factor, and where its form goes.
pub const SECOND_FACTOR: &str = "/login/second-factor";
/// Where a sign-in at a provider begins; `{provider}` is which.
pub const SIGN_IN_WITH: &str = "/auth/sign-in/{provider}";
/// Where a provider, or a mailed link, leads back to.
pub const SIGN_IN_CALLBACK: &str = "/auth/callback";
/// The way out, on whichever host.
pub const SIGN_OUT: &str = "/auth/sign-out";
/// Where a session goes on to a bot's own host, and where it arrives there.
pub const SESSION_HANDOFF: &str = "/auth/hand-over";
/// Below this lie the orders to one's own bot, each under its name.
const ORDERS: &str = "/api/bot/";
/// Puts back what a start passed over.
pub const PUT_BACK: &str = "/api/bot/snapshots/put-back";
/// Keeps what there is instead.
pub const KEEP: &str = "/api/bot/snapshots/keep";
/// The page on which an owner decides, on the platform's host and on a bot's own.
pub const CHOICE: &str = "/api/bot/snapshots/choice";
/// The way to the admin UI.
pub const ADMIN: &str = "/admin";
/// Where the admin UI begins: relative addresses of its page count from there.
pub const ADMIN_UI: &str = "/admin/";
/// Where its page lies among its files.
pub const ADMIN_UI_PAGE: &str = "/admin/index.html";
/// Below this, every file of it has its content's digest in its name.
pub const ADMIN_UI_FILES: &str = "/admin/assets/";
/// The owner's own page, on the platform's host.
pub const OWN_PAGE: &str = "/bot";
/// The same at an address below it.
pub const BELOW_OWN_PAGE: &str = "/bot/{*}";
/// Where that page lies among the files of the admin UI.
pub const OWN_PAGE_FILE: &str = "/admin/bot.html";

/// Where a sign-in at this provider begins.
pub fn sign_in_with(provider: &str) -> String {
    SIGN_IN_WITH.replace("{provider}", provider)
}

/// Where this order to one's own bot is given.
pub fn order(name: &str) -> String {
    format!("{ORDERS}{name}")
}
