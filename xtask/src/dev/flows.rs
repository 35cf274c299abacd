//! Sign-ins that take a detour: by way of a provider's page, or of a mail. What waits for the person to come back.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::people::Person;

/// Seconds for which a code waits for its verifier.
const CODE_LIFETIME: i64 = 300;
/// Seconds for which a mailed link and its code work.
const MAIL_LIFETIME: i64 = 3600;
/// What the token of a mailed link starts with when a challenge came with the request for it.
pub(crate) const PKCE_PREFIX: &str = "pkce_";

/// A person is at a provider's page.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) challenge: String,
    pub(crate) redirect_to: String,
}

/// A mail that was never sent.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) person: &'static Person,
    /// In the link.
    pub(crate) token: String,
    /// Beside the link.
    pub(crate) code: String,
    /// Where the link leads after the provider has seen it.
    pub(crate) redirect_to: String,
    challenge: Option<String>,
    sent_at: i64,
}

#[derive(Debug)]
struct Code {
    challenge: String,
    person: &'static Person,
    method: &'static str,
    issued_at: i64,
}

/// Why a code was not exchanged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotExchanged {
    /// There is none such, or not any more.
    Unknown,
    /// The verifier is not the one the challenge was made of.
    WrongVerifier,
}

/// All of this run.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    waiting: HashMap<Uuid, Waiting>,
    codes: HashMap<String, Code>,
    mails: Vec<Mail>,
}

impl Flows {
    /// A person leaves for a provider's page; the id brings them back.
    pub(crate) fn leave(&mut self, challenge: String, redirect_to: String) -> Uuid {
        let id = Uuid::new_v4();
        self.waiting.insert(
            id,
            Waiting {
                challenge,
                redirect_to,
            },
        );
        id
    }

    /// A person is back from a provider's page. Once.
    pub(crate) fn come_back(&mut self, id: &Uuid) -> Option<Waiting> {
        self.waiting.remove(id)
    }

    /// A code for a person who proved who they are, worth tokens to whoever knows the verifier.
    pub(crate) fn issue(
        &mut self,
        challenge: String,
        person: &'static Person,
        method: &'static str,
        now: i64,
    ) -> String {
        let code = Uuid::new_v4().to_string();
        let issued = Code {
            challenge,
            person,
            method,
            issued_at: now,
        };
        self.codes.insert(code.clone(), issued);
        code
    }

    /// Takes a code, whatever comes of it, and says who signed in and how.
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        verifier: &str,
        now: i64,
    ) -> Result<(&'static Person, &'static str), NotExchanged> {
        let code = self.codes.remove(code).ok_or(NotExchanged::Unknown)?;
        if now.saturating_sub(code.issued_at) > CODE_LIFETIME {
            return Err(NotExchanged::Unknown);
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        if challenge != code.challenge {
            return Err(NotExchanged::WrongVerifier);
        }
        Ok((code.person, code.method))
    }

    /// "Sends" a mail with a link and a code. An earlier one to the same person stops working.
    pub(crate) fn mail(
        &mut self,
        person: &'static Person,
        challenge: Option<String>,
        redirect_to: String,
        now: i64,
    ) -> &Mail {
        self.mails.retain(|mail| mail.person.id() != person.id());
        let id = Uuid::new_v4();
        let prefix = if challenge.is_some() { PKCE_PREFIX } else { "" };
        self.mails.push(Mail {
            person,
            token: format!("{prefix}{}", id.simple()),
            code: format!("{:06}", id.as_u128() % 1_000_000),
            redirect_to,
            challenge,
            sent_at: now,
        });
        let last = self.mails.len().saturating_sub(1);
        #[expect(clippy::indexing_slicing, reason = "it was pushed a line above")]
        &self.mails[last]
    }

    /// The mails that still work, for whoever plays the person.
    pub(crate) fn mails(&self) -> &[Mail] {
        &self.mails
    }

    /// Takes the mail whose link was opened. With a challenge, what comes of it is a code for the callback.
    pub(crate) fn open_link(&mut self, token: &str, now: i64) -> Option<(&'static Person, Option<String>)> {
        let mail = self.take(|mail| mail.token == token, now)?;
        Some((mail.person, mail.challenge))
    }

    /// Takes the mail whose code was typed.
    pub(crate) fn type_code(&mut self, person: &Person, code: &str, now: i64) -> Option<&'static Person> {
        let mail = self.take(|mail| mail.person.id() == person.id() && mail.code == code, now)?;
        Some(mail.person)
    }

    fn take(&mut self, wanted: impl Fn(&Mail) -> bool, now: i64) -> Option<Mail> {
        let found = self.mails.iter().position(wanted)?;
        let mail = self.mails.remove(found);
        (now.saturating_sub(mail.sent_at) <= MAIL_LIFETIME).then_some(mail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::people::PEOPLE;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    /// Of RFC 7636, appendix B.
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_code_is_exchanged_once_and_only_with_its_verifier() {
        let mut flows = Flows::default();
        let code = flows.issue(CHALLENGE.into(), &PEOPLE[0], "oauth", 0);
        assert!(flows.exchange(&code, VERIFIER, CODE_LIFETIME).is_ok());
        let again = flows.exchange(&code, VERIFIER, 0).map(|(person, _)| person.name);
        assert_eq!(again, Err(NotExchanged::Unknown));
        let code = flows.issue(CHALLENGE.into(), &PEOPLE[0], "oauth", 0);
        let other = flows.exchange(&code, "another", 0).map(|(person, _)| person.name);
        assert_eq!(other, Err(NotExchanged::WrongVerifier));
        let code = flows.issue(CHALLENGE.into(), &PEOPLE[0], "oauth", 0);
        assert!(flows.exchange(&code, VERIFIER, CODE_LIFETIME + 1).is_err());
    }

    #[test]
    fn only_the_newest_mail_works_and_only_once() {
        let mut flows = Flows::default();
        let first = flows.mail(&PEOPLE[0], None, String::new(), 0).clone();
        let second = flows
            .mail(&PEOPLE[0], Some(CHALLENGE.into()), String::new(), 0)
            .clone();
        assert!(!first.token.starts_with(PKCE_PREFIX) && second.token.starts_with(PKCE_PREFIX));
        assert!(flows.open_link(&first.token, 0).is_none());
        assert!(flows.type_code(&PEOPLE[1], &second.code, 0).is_none());
        let (person, challenge) = flows.open_link(&second.token, MAIL_LIFETIME).unwrap();
        assert_eq!((person.name, challenge.as_deref()), ("dev-1", Some(CHALLENGE)));
        assert!(
            flows.type_code(&PEOPLE[0], &second.code, 0).is_none(),
            "it was used"
        );
        let third = flows.mail(&PEOPLE[0], None, String::new(), 0).clone();
        assert!(
            flows
                .type_code(&PEOPLE[0], &third.code, MAIL_LIFETIME + 1)
                .is_none()
        );
    }
}
