//! How requests are counted: by which key, and which of them.

use core::net::IpAddr;

/// The Workers rate-limit binding for everything an address asks for. How much each of them allows is in `wrangler.toml`.
pub const ADDRESS_LIMIT: &str = "ADDRESS_LIMIT";
/// For everything a signed-in user asks for, from wherever.
pub const USER_LIMIT: &str = "USER_LIMIT";
/// For tries to sign in, by address and by account.
pub const SIGN_IN_LIMIT: &str = "SIGN_IN_LIMIT";

/// Bits of an IPv6 address that one customer of a provider holds at least: they choose the rest freely.
const IPV6_NETWORK_BITS: u32 = 64;

/// Under which key an address is counted. None for this machine's own: on the Internet no caller has one, so it
/// is `wrangler dev` or a test.
pub fn address_key(address: &str) -> Option<String> {
    match address.trim().parse::<IpAddr>().ok()?.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> (u128::BITS - IPV6_NETWORK_BITS);
            Some(format!("{network:016x}"))
        }
    }
}

/// Under which key the account of this address is counted, in lower case. No address of the network's looks like it.
pub fn account_key(email: &str) -> String {
    format!("account {}", email.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_rate_limit_key() {
        assert_eq!(
            account_key(" alice@example.com "),
            account_key("alice@example.com")
        );
        assert_ne!(account_key("alice@example.com"), account_key("bob@example.com"));
    }

    #[test]
    fn one_ipv6_network_has_one_rate_limit_key() {
        assert_eq!(address_key("203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(address_key("::ffff:203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(
            address_key("2001:db8:0:1::1"),
            address_key("2001:db8:0:1:ffff::2")
        );
        assert_ne!(address_key("2001:db8:0:1::1"), address_key("2001:db8:0:2::1"));
        for nobody in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "",
            "unknown",
            "1.2.3.4, 5.6.7.8",
        ] {
            assert_eq!(address_key(nobody), None, "{nobody}");
        }
    }
}
