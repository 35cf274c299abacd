//! The secret in an `Authorization` header: a bearer token, or the password of HTTP Basic.

use crate::base64;
use crate::secret::Secret;

/// Finds the secret. restic speaks Basic only; whatever user name it sends says nothing.
pub fn read(authorization: &str) -> Option<Secret<String>> {
    let (scheme, value) = authorization.split_once(' ')?;
    let value = value.trim();
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        value.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(base64::decode(value)?).ok()?;
        pair.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    (!secret.is_empty()).then(|| Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(authorization: &str) -> Option<String> {
        read(authorization).map(|secret| secret.reveal().clone())
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", base64::encode(pair))
    }

    #[test]
    fn basic_and_bearer_credentials_give_the_same_secret() {
        for good in [
            "Bearer t.1".to_owned(),
            "bearer  t.1 ".into(),
            basic("x:t.1"),
            basic(":t.1"),
            basic("x:t.1").replace("Basic", "basic"),
        ] {
            assert_eq!(found(&good).as_deref(), Some("t.1"), "{good}");
        }
        assert_eq!(found(&basic("x:a:b")).as_deref(), Some("a:b"));
    }

    #[test]
    fn any_other_authorization_header_gives_no_secret() {
        for bad in [
            String::new(),
            "t.1".into(),
            "Bearer".into(),
            "Bearer ".into(),
            "Digest t.1".into(),
            "Basic !".into(),
            basic("t.1"),
            basic("x:"),
            format!("Basic {}", base64::encode([b'x', b':', 0xff])),
        ] {
            assert_eq!(found(&bad), None, "{bad}");
        }
    }
}
