//! Codes of an authenticator app (TOTP, RFC 6238, as Supabase sets it up: SHA-1, six digits, 30 seconds), and what an
//! app is enrolled with.

use qrcodegen::{QrCode, QrCodeEcc};
use reqwest::Url;
use ring::hmac;

/// Seconds for which a code is shown.
const PERIOD: i64 = 30;
/// Periods before and after now whose codes count as well: clocks differ, and people type slowly.
const SKEW: i64 = 1;
/// Bytes of a secret; the length of a SHA-1, as RFC 4226 asks.
pub(crate) const SECRET_BYTES: usize = 20;
/// Light modules around a drawing (ISO/IEC 18004), without which cameras do not find it.
const QUIET_ZONE: i32 = 4;

/// Whether a code is one of those that count at that moment (seconds since 1970).
pub(crate) fn accepts(secret: &[u8], code: &str, now: i64) -> bool {
    let period = now.div_euclid(PERIOD);
    (period - SKEW..=period + SKEW).any(|period| at(secret, period) == code)
}

fn at(secret: &[u8], period: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &period.to_be_bytes());
    let digest = tag.as_ref();
    // The last four bits say where the 31 bits of the code begin (RFC 4226 §5.3).
    let offset = usize::from(digest.last().copied().unwrap_or_default() & 0xf);
    let bits = digest.iter().skip(offset).take(4);
    let number = bits.fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A secret as apps take it: base32 (RFC 4648) without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut held, mut bits) = (0_u32, 0_u32);
    let mut write = |five: u32| {
        let letter = ALPHABET.get((five & 31) as usize);
        text.extend(letter.map(|letter| char::from(*letter)));
    };
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            write(held >> bits);
        }
    }
    if bits > 0 {
        write(held << (5 - bits));
    }
    text
}

/// What the drawing says.
pub(crate) fn uri(issuer: &str, account: &str, secret: &str) -> String {
    let label = format!("otpauth://totp/{issuer}:{account}");
    let pairs = [
        ("algorithm", "SHA1"),
        ("digits", "6"),
        ("issuer", issuer),
        ("period", "30"),
        ("secret", secret),
    ];
    Url::parse_with_params(&label, pairs).map_or(label, Into::into)
}

/// A text as a QR code, drawn as an SVG whose squares carry their style themselves, as the real one's do.
pub(crate) fn drawing(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::High) else {
        return String::new();
    };
    let side = code.size() + 2 * QUIET_ZONE;
    let mut squares = String::new();
    for y in 0..side {
        for x in 0..side {
            let dark = code.get_module(x - QUIET_ZONE, y - QUIET_ZONE);
            let fill = if dark { "black" } else { "white" };
            squares.push_str(&format!(
                r#"<rect x="{}" y="{}" width="3" height="3" style="fill:{fill};stroke:none" />"#,
                3 * x,
                3 * y
            ));
        }
    }
    let side = 3 * side;
    format!(
        r#"<?xml version="1.0"?><svg width="{side}" height="{side}" xmlns="http://www.w3.org/2000/svg">{squares}</svg>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(secret: &[u8], now: i64) -> String {
        at(secret, now.div_euclid(PERIOD))
    }

    /// RFC 6238 appendix B, of whose eight digits the last six are left here.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(secret, time), expected, "{time}");
        }
    }

    #[test]
    fn a_code_counts_one_period_early_and_late() {
        let secret = [7; SECRET_BYTES];
        let shown = code(&secret, 1_000_000);
        for (now, accepted) in [
            (999_960, true),
            (1_000_000, true),
            (1_000_030, true),
            (999_900, false),
            (1_000_080, false),
        ] {
            assert_eq!(accepts(&secret, &shown, now), accepted, "{now}");
        }
    }

    #[test]
    fn secrets_are_written_in_base32() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn an_enrolment_names_the_account_and_can_be_drawn() {
        let uri = uri("bots.example.com", "dev-1@moltworker.test", "MZXW6YTB");
        assert!(
            uri.starts_with("otpauth://totp/bots.example.com:dev-1@moltworker.test?"),
            "{uri}"
        );
        assert!(uri.ends_with("&secret=MZXW6YTB"), "{uri}");
        let drawing = drawing(&uri);
        assert!(drawing.contains("fill:black") && drawing.contains("fill:white"));
    }
}
