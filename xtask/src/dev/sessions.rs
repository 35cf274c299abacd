//! Who is signed in at the local identity provider: sessions and their rotating refresh tokens.

use std::collections::HashMap;

use uuid::Uuid;

use super::people::Person;

/// Seconds for which a used refresh token still works, for clients that refresh twice at once.
const REUSE_INTERVAL: i64 = 10;

/// A sign-in that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) person: &'static Person,
    /// How the person signed in, as `amr` says it.
    pub(crate) method: &'static str,
    pub(crate) signed_in_at: i64,
    /// When they proved a second factor, if they have.
    pub(crate) second_factor_at: Option<i64>,
}

#[derive(Debug)]
struct RefreshToken {
    /// Grows with each token handed out; the newest unused one is the session's current one.
    serial: u64,
    session: Uuid,
    parent: Option<String>,
    used_at: Option<i64>,
}

/// Why a refresh token was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nobody ever had it, or its session ended.
    Unknown,
    /// It was used before: its whole session ends, since a copy may be in the wrong hands.
    AlreadyUsed,
}

/// Which sessions a sign-out ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignOut {
    /// All of the person's.
    Global,
    /// Only this one.
    Local,
    /// All but this one.
    Others,
}

/// All sessions of this run.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: HashMap<Uuid, Session>,
    tokens: HashMap<String, RefreshToken>,
    handed_out: u64,
    strict: bool,
}

impl Sessions {
    /// Whether a refresh token works once, whatever the reason for which it is shown again.
    pub(crate) fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// Signs a person in; the text is the session's first refresh token.
    pub(crate) fn start(
        &mut self,
        person: &'static Person,
        method: &'static str,
        now: i64,
    ) -> (Session, String) {
        let session = Session {
            id: Uuid::new_v4(),
            person,
            method,
            signed_in_at: now,
            second_factor_at: None,
        };
        self.sessions.insert(session.id, session.clone());
        let token = self.issue(session.id, None);
        (session, token)
    }

    /// The session of that id, if it has not ended.
    pub(crate) fn get(&self, id: &Uuid) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Takes a refresh token and hands out the next one.
    ///
    /// The token before the newest one gets the newest one again, however late: its client may have lost
    /// the answer. An older one is a copy and ends the session, except within the reuse interval.
    pub(crate) fn refresh(&mut self, token: &str, now: i64) -> Result<(Session, String), Refused> {
        let presented = self.tokens.get_mut(token).ok_or(Refused::Unknown)?;
        let session = self
            .sessions
            .get(&presented.session)
            .cloned()
            .ok_or(Refused::Unknown)?;
        let used_at = presented.used_at;
        presented.used_at.get_or_insert(now);

        if let Some(used_at) = used_at {
            let unused = self
                .tokens
                .iter()
                .filter(|(_, t)| t.session == session.id && t.used_at.is_none());
            match unused.max_by_key(|(_, t)| t.serial) {
                Some((current, t)) if !self.strict && t.parent.as_deref() == Some(token) => {
                    return Ok((session, current.clone()));
                }
                _ if !self.strict && now.saturating_sub(used_at) <= REUSE_INTERVAL => {}
                _ => {
                    for sibling in self.tokens.values_mut().filter(|t| t.session == session.id) {
                        // The interval has passed for all of them: none may work again.
                        sibling.used_at = Some(i64::MIN);
                    }
                    return Err(Refused::AlreadyUsed);
                }
            }
        }
        let next = self.issue(session.id, Some(token.to_owned()));
        Ok((session, next))
    }

    /// Has a session prove its second factor. It gets a new refresh token, and the person's sessions that have proven
    /// one factor alone are over.
    pub(crate) fn prove_second_factor(&mut self, id: &Uuid, now: i64) -> Option<(Session, String)> {
        let session = self.sessions.get_mut(id)?;
        session.second_factor_at = Some(now);
        let session = session.clone();
        let person = session.person.id();
        self.sessions
            .retain(|_, other| other.person.id() != person || other.second_factor_at.is_some());
        self.tokens
            .retain(|_, token| token.session != *id && self.sessions.contains_key(&token.session));
        let token = self.issue(*id, None);
        Some((session, token))
    }

    /// Ends sessions of the person `session` belongs to.
    pub(crate) fn sign_out(&mut self, session: &Session, scope: SignOut) {
        self.sessions.retain(|id, other| match scope {
            SignOut::Global => other.person.id() != session.person.id(),
            SignOut::Local => *id != session.id,
            SignOut::Others => other.person.id() != session.person.id() || *id == session.id,
        });
        self.tokens
            .retain(|_, token| self.sessions.contains_key(&token.session));
    }

    fn issue(&mut self, session: Uuid, parent: Option<String>) -> String {
        let token = Uuid::new_v4().simple().to_string();
        self.handed_out = self.handed_out.saturating_add(1);
        let row = RefreshToken {
            serial: self.handed_out,
            session,
            parent,
            used_at: None,
        };
        self.tokens.insert(token.clone(), row);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::people::PEOPLE;

    const MUCH_LATER: i64 = 1_000 + REUSE_INTERVAL + 1;

    #[test]
    fn each_refresh_gives_a_new_token_of_the_same_session() {
        let mut sessions = Sessions::default();
        let (session, first) = sessions.start(&PEOPLE[0], "password", 0);
        let (same, second) = sessions.refresh(&first, 100).unwrap();
        let (_, third) = sessions.refresh(&second, 200).unwrap();
        assert_eq!((same.id, same.signed_in_at), (session.id, 0));
        assert!(first != second && second != third);
    }

    #[test]
    fn a_refresh_within_the_reuse_interval_gets_the_same_answer() {
        let mut sessions = Sessions::default();
        let (_, first) = sessions.start(&PEOPLE[0], "password", 0);
        let (_, second) = sessions.refresh(&first, 1_000).unwrap();
        assert_eq!(sessions.refresh(&first, MUCH_LATER).unwrap().1, second);
        assert!(sessions.refresh(&second, MUCH_LATER).is_ok());
    }

    #[test]
    fn reusing_an_old_refresh_token_ends_the_session() {
        let mut sessions = Sessions::default();
        let (_, first) = sessions.start(&PEOPLE[0], "password", 0);
        let (_, second) = sessions.refresh(&first, 1_000).unwrap();
        let (_, third) = sessions.refresh(&second, 1_000).unwrap();
        let (_, fourth) = sessions.refresh(&first, 1_000 + REUSE_INTERVAL).unwrap();
        // `second` is neither the current token nor the one before it.
        for token in [&second, &first, &third, &fourth] {
            assert_eq!(sessions.refresh(token, 2_000).unwrap_err(), Refused::AlreadyUsed);
        }
    }

    #[test]
    fn a_strict_refresh_token_works_once() {
        let mut sessions = Sessions::default();
        sessions.set_strict(true);
        let (_, first) = sessions.start(&PEOPLE[0], "password", 0);
        let (_, second) = sessions.refresh(&first, 0).unwrap();
        for token in [&first, &second] {
            assert_eq!(sessions.refresh(token, 0).unwrap_err(), Refused::AlreadyUsed);
        }
    }

    #[test]
    fn a_second_factor_ends_the_persons_sessions_without_one() {
        let mut sessions = Sessions::default();
        let (here, first) = sessions.start(&PEOPLE[0], "password", 0);
        let (_, there) = sessions.start(&PEOPLE[0], "password", 0);
        let (_, somebody_elses) = sessions.start(&PEOPLE[1], "password", 0);
        let (proven, next) = sessions.prove_second_factor(&here.id, 50).unwrap();
        assert_eq!((proven.id, proven.second_factor_at), (here.id, Some(50)));
        for token in [&first, &there] {
            assert_eq!(sessions.refresh(token, 60).unwrap_err(), Refused::Unknown);
        }
        assert_eq!(sessions.refresh(&next, 60).unwrap().0.second_factor_at, Some(50));
        assert!(sessions.refresh(&somebody_elses, 60).is_ok());
        assert!(sessions.prove_second_factor(&Uuid::nil(), 0).is_none());
    }

    #[test]
    fn signing_out_ends_only_the_requested_sessions() {
        for (scope, left) in [
            (SignOut::Global, [false, false]),
            (SignOut::Local, [false, true]),
            (SignOut::Others, [true, false]),
        ] {
            let mut sessions = Sessions::default();
            let (here, here_token) = sessions.start(&PEOPLE[0], "password", 0);
            let (_, there_token) = sessions.start(&PEOPLE[0], "password", 0);
            let (_, somebody_elses) = sessions.start(&PEOPLE[1], "password", 0);
            sessions.sign_out(&here, scope);
            let works = |sessions: &mut Sessions, token: &str| sessions.refresh(token, 1).is_ok();
            assert_eq!(
                [
                    works(&mut sessions, &here_token),
                    works(&mut sessions, &there_token)
                ],
                left,
                "{scope:?}"
            );
            assert!(works(&mut sessions, &somebody_elses));
        }
        assert_eq!(
            Sessions::default().refresh("made up", 0).unwrap_err(),
            Refused::Unknown
        );
    }
}
