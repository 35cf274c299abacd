//! The second factor of a sign-in, as Supabase Auth has it: who needs one, the authenticator app that makes its codes
//! (a TOTP factor, RFC 6238), and a sign-in that waits for a code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::Json;

use crate::http::cookies::COOKIE_PREFIX;
use crate::identity::session::{Session, SessionId};
use crate::identity::token::Identity;
use crate::json;
use crate::user_id::UserId;

/// Digits of a code.
const CODE_DIGITS: usize = 6;
/// Wrong codes one person may type within [`WRONG_CODES_SECONDS`]. The provider takes three codes of a million at a
/// time, so that a week of guessing comes to less than three in a thousand.
pub const MAX_WRONG_CODES: u32 = 5;
/// Seconds over which wrong codes are counted. Who has the password and types wrong codes on purpose keeps the person
/// from signing in anew for as long.
pub const WRONG_CODES_SECONDS: u64 = 60 * 60;
/// Seconds a sign-in waits for its code: an authenticator app may have to be installed first.
pub const PENDING_SECONDS: u64 = 15 * 60;
/// What holds a sealed [`PendingSignIn`].
pub const PENDING_COOKIE: &str = "__Host-moltbot-second-factor";
const _: () = assert!(PENDING_COOKIE.len() > COOKIE_PREFIX.len());
/// The name that enrolled factors have in the person's account.
pub const FACTOR_NAME: &str = "Moltworker";
/// Bytes the drawing of an enrolment may have; one with a long address has some 300 KB.
pub const MAX_QR_BYTES: usize = 1024 * 1024;

/// Who has to prove a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequireMfa {
    /// Admins, for what only an admin may do.
    Admins,
    /// Everyone, for everything.
    Everyone,
    /// Nobody. Who has enrolled a factor is asked for it at sign-in all the same.
    Nobody,
}

impl RequireMfa {
    /// The policy of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "admins" => Some(Self::Admins),
            "everyone" => Some(Self::Everyone),
            "nobody" => Some(Self::Nobody),
            _ => None,
        }
    }

    /// Whether this caller lacks it for what every person may do.
    pub fn is_lacking(self, identity: &Identity) -> bool {
        self == Self::Everyone && !identity.mfa
    }

    /// Whether this caller lacks it for what only an admin may do.
    pub fn is_lacking_for_admin(self, identity: &Identity) -> bool {
        self != Self::Nobody && !identity.mfa
    }

    /// Whether somebody who signs in has to be asked for it.
    pub fn is_asked_of(self, is_admin: bool) -> bool {
        match self {
            Self::Admins => is_admin,
            Self::Everyone => true,
            Self::Nobody => false,
        }
    }
}

/// Names one of a person's factors at the provider. Becomes part of a URL, so it is a UUID and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FactorId(UserId);

impl FactorId {
    fn parse(text: &str) -> Option<Self> {
        // Written like a user's id, and as strict.
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for FactorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A code as people type it: digits, with spaces around and in them.
pub fn code(typed: &str) -> Option<String> {
    let code: String = typed.split_whitespace().collect();
    (code.len() == CODE_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
}

/// What a person has enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Factors {
    /// An authenticator app whose codes count.
    pub app: Option<FactorId>,
    /// There is one that counts, and it is no app: a phone, a key.
    pub other: bool,
    /// Apps whose enrolment was begun and never ended.
    pub unfinished: Vec<FactorId>,
}

/// Reads `factors` of a user as the provider describes them; what is of no known form is passed over.
pub fn factors(user: &Json) -> Factors {
    let mut factors = Factors::default();
    let list = user.member("factors").map_or(&[] as &[Json], Json::items);
    for factor in list {
        let text = |name: &str| factor.member(name).and_then(Json::as_str).unwrap_or_default();
        let verified = text("status") == "verified";
        match (text("factor_type"), FactorId::parse(text("id"))) {
            ("totp", Some(id)) if verified => factors.app = factors.app.or(Some(id)),
            ("totp", Some(id)) => factors.unfinished.push(id),
            _ => factors.other |= verified,
        }
    }
    factors
}

/// An authenticator app that is being enrolled. Whoever has read this makes the person's codes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Its name at the provider.
    pub factor: FactorId,
    /// The secret as a drawing to point a camera at, an SVG of the provider's making.
    pub qr_code: String,
    /// The secret to type, in base32.
    pub secret: String,
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enrolment({})", self.factor)
    }
}

/// Reads the provider's answer to an enrolment.
pub fn enrolment(answer: &str) -> Option<Enrolment> {
    #[derive(Deserialize)]
    struct Enrolled {
        id: String,
        totp: Totp,
    }
    #[derive(Deserialize)]
    struct Totp {
        qr_code: String,
        secret: String,
    }
    let enrolled: Enrolled = json::read(answer).ok()?;
    let drawn = enrolled.totp.qr_code.len() <= MAX_QR_BYTES;
    let factor = FactorId::parse(&enrolled.id).filter(|_| drawn)?;
    Some(Enrolment {
        factor,
        qr_code: enrolled.totp.qr_code,
        secret: enrolled.totp.secret,
    })
}

/// What the Worker wants of a Sandbox about its person's second factor. The tokens of the session are what the
/// identity provider is asked with.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecondFactorCommand {
    /// Say which they have, or begin to enrol one.
    Find(SessionId),
    /// Prove it by a code.
    Prove {
        /// The session that is to have proven it.
        id: SessionId,
        /// Whose code it is.
        factor: FactorId,
        /// What was typed.
        code: String,
    },
}

impl fmt::Debug for SecondFactorCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Find(_) => "Find",
            Self::Prove { .. } => "Prove(hidden)",
        })
    }
}

/// What a Sandbox answers about its person's second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// They have this one: its code is to be typed.
    Known(FactorId),
    /// They have none, and begin to enrol this one.
    Enrolment(Enrolment),
    /// The code was right: the session has proven both factors.
    Proven(Identity),
    /// It was not.
    WrongCode,
    /// What they have enrolled is no authenticator app.
    OtherKind,
    /// Too many wrong codes, or asked too often.
    TooMany,
    /// There is no such session any more: sign in again.
    Ended,
    /// The identity provider could not be asked.
    Unavailable,
}

/// A sign-in whose first factor held: kept sealed in the browser until the second one does. Its tokens lie in the
/// person's Sandbox, and it reaches nothing but the page that asks for the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// What it becomes.
    pub session: Session,
    /// Whose code is asked for; none before an enrolment was begun.
    pub factor: Option<FactorId>,
    /// That app was enrolled in this sign-in, by whoever had the first factor.
    #[serde(default)]
    pub is_new: bool,
    /// Where to go afterwards: a path on this host.
    pub next: String,
    /// Seconds since 1970.
    pub ends_at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const APP: &str = "34e770dd-9ff9-416c-87fa-43b31d7ef225";
    const KEY: &str = "8f00b204-e980-4998-8ecf-8427e0d1a2b3";

    fn identity(mfa: bool) -> Identity {
        Identity {
            user: APP.parse().unwrap(),
            admin: false,
            email: None,
            mfa,
            expires_at: 0,
        }
    }

    #[test]
    fn who_must_prove_two_factors_follows_the_setting() {
        // Lacking for everybody's, lacking for an admin's, asked of a user, asked of an admin.
        for (name, policy, expected) in [
            ("admins", RequireMfa::Admins, [false, true, false, true]),
            ("everyone", RequireMfa::Everyone, [true, true, true, true]),
            ("nobody", RequireMfa::Nobody, [false, false, false, false]),
        ] {
            assert_eq!(RequireMfa::parse(name), Some(policy));
            let one = identity(false);
            let found = [
                policy.is_lacking(&one),
                policy.is_lacking_for_admin(&one),
                policy.is_asked_of(false),
                policy.is_asked_of(true),
            ];
            assert_eq!(found, expected, "{name}");
            let both = identity(true);
            assert!(!policy.is_lacking(&both) && !policy.is_lacking_for_admin(&both));
        }
        assert_eq!(RequireMfa::parse("Admins"), None);
    }

    #[test]
    fn a_code_is_six_digits_however_they_are_spaced() {
        for typed in ["123456", " 123 456\n", "1 2 3 4 5 6"] {
            assert_eq!(code(typed).as_deref(), Some("123456"), "{typed:?}");
        }
        for wrong in ["", "12345", "1234567", "12345a", "１２３４５６", "-12345"] {
            assert_eq!(code(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_persons_factors_are_told_apart() {
        let factor =
            |id: &str, kind: &str, status: &str| json!({ "id": id, "factor_type": kind, "status": status });
        let factors = |user: Value| factors(&crate::json::read(&user.to_string()).unwrap());
        let read = |list: Value| factors(json!({ "factors": list }));
        let app = FactorId::parse(APP).unwrap();
        assert_eq!(read(json!([factor(APP, "totp", "verified")])).app, Some(app));
        let begun = read(json!([factor(APP, "totp", "unverified")]));
        assert_eq!((begun.app, begun.unfinished), (None, vec![app]));
        let other = read(json!([
            factor(KEY, "webauthn", "verified"),
            factor(APP, "phone", "unverified")
        ]));
        assert_eq!((other.app, other.other), (None, true));
        for nothing in [
            json!([]),
            json!("x"),
            json!([7, {}]),
            json!([factor("../x", "totp", "unverified")]),
        ] {
            assert_eq!(read(nothing), Factors::default());
        }
        assert_eq!(factors(json!({})), Factors::default());
    }

    #[test]
    fn an_enrolment_is_read_and_never_printed() {
        let answer = |id: &str| {
            json!({ "id": id, "type": "totp", "friendly_name": "x",
                "totp": { "qr_code": "<svg/>", "secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/x" } })
            .to_string()
        };
        let read = enrolment(&answer(APP)).unwrap();
        assert_eq!(
            (read.qr_code.as_str(), read.secret.as_str()),
            ("<svg/>", "JBSWY3DPEHPK3PXP")
        );
        assert!(!format!("{read:?}").contains("JBSW"));
        for bad in [answer("../x"), "{}".into(), "<html>".into()] {
            assert_eq!(enrolment(&bad), None);
        }
    }
}
