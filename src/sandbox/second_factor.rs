//! The person's second factor: found, enrolled and proven with the tokens of one of their sessions, which do not leave
//! this object for it. Wrong codes are counted here, because all of a person's sign-ins meet here.

use moltworker_core::api::sandbox::SandboxAnswer;
use moltworker_core::identity::mfa::{
    FactorId, MAX_WRONG_CODES, SecondFactor, SecondFactorCommand, WRONG_CODES_SECONDS, code,
};
use moltworker_core::identity::session::{Renewal, SessionId, Tokens};
use serde::Deserialize;
use worker::{Error, Result};

use super::Inner;
use super::sessions::seconds;
use super::store::Store;
use crate::identity::caller;
use crate::identity::mfa_api::{self, Asked};
use crate::platform::{clock, log};

#[derive(Deserialize)]
struct Count {
    wrong: u32,
}

impl Inner {
    /// Does what the Worker wants about the second factor.
    pub(super) async fn second_factor(&self, command: SecondFactorCommand) -> Result<SandboxAnswer> {
        let outcome = match &command {
            SecondFactorCommand::Find(id) => self.find_second_factor(id).await,
            SecondFactorCommand::Prove { id, factor, code } => {
                self.prove_second_factor(id, *factor, code).await
            }
        };
        Ok(SandboxAnswer::SecondFactor(outcome.unwrap_or_else(|error| {
            log::line("second-factor-failed", &[("reason", &error)]);
            SecondFactor::Unavailable
        })))
    }

    async fn find_second_factor(&self, id: &SessionId) -> Result<SecondFactor> {
        let tokens = match self.live_tokens(id).await? {
            Ok(tokens) => tokens,
            Err(outcome) => return Ok(outcome),
        };
        let (settings, token) = (self.settings()?, tokens.access_token.as_str());
        let factors = match mfa_api::factors(settings, token).await? {
            Asked::Answered(factors) => factors,
            Asked::Ended => return Ok(SecondFactor::Ended),
            Asked::TooMany => return Ok(SecondFactor::TooMany),
        };
        if let Some(app) = factors.app {
            return Ok(SecondFactor::Known(app));
        }
        if factors.other {
            return Ok(SecondFactor::OtherKind);
        }
        for begun in factors.unfinished {
            mfa_api::unenrol(settings, token, begun).await?;
        }
        Ok(match mfa_api::enrol(settings, token).await? {
            Asked::Answered(enrolment) => SecondFactor::Enrolment(enrolment),
            Asked::Ended => SecondFactor::Ended,
            Asked::TooMany => SecondFactor::TooMany,
        })
    }

    async fn prove_second_factor(
        &self,
        id: &SessionId,
        factor: FactorId,
        typed: &str,
    ) -> Result<SecondFactor> {
        let Some(code) = code(typed) else {
            return Ok(SecondFactor::WrongCode);
        };
        let tokens = match self.live_tokens(id).await? {
            Ok(tokens) => tokens,
            Err(outcome) => return Ok(outcome),
        };
        // Nobody renews the session meanwhile, and of two guesses the second one knows how the first went.
        let _turn = self.session_turn().await?;
        if self.wrong_codes()? >= MAX_WRONG_CODES {
            return Ok(SecondFactor::TooMany);
        }
        let settings = self.settings()?;
        let proven = match mfa_api::verify(settings, &tokens.access_token, factor, &code).await? {
            Asked::Answered(Some(tokens)) => tokens,
            Asked::Answered(None) => {
                self.count_wrong_code()?;
                return Ok(SecondFactor::WrongCode);
            }
            Asked::Ended => return Ok(SecondFactor::Ended),
            Asked::TooMany => return Ok(SecondFactor::TooMany),
        };
        let identity = caller::access_token(&proven.access_token, settings).await;
        let user = self.user()?;
        let Some(identity) = identity
            .ok()
            .filter(|identity| identity.mfa && identity.user == user)
        else {
            return Err(Error::RustError(
                "the provider's token after a right code does not say so".into(),
            ));
        };
        Ok(match self.update_session(id, &identity, &proven).await? {
            true => SecondFactor::Proven(identity),
            false => SecondFactor::Ended,
        })
    }

    /// The session's tokens, renewed if need be.
    async fn live_tokens(&self, id: &SessionId) -> Result<std::result::Result<Tokens, SecondFactor>> {
        match self.renew_session(id).await? {
            Renewal::Renewed(_) => {}
            Renewal::Ended => return Ok(Err(SecondFactor::Ended)),
            Renewal::Unavailable => return Ok(Err(SecondFactor::Unavailable)),
        }
        let session = self.load_session(id).await?;
        Ok(session.map(|(_, tokens, _)| tokens).ok_or(SecondFactor::Ended))
    }

    /// Wrong codes of this person, of late.
    fn wrong_codes(&self) -> Result<u32> {
        let since = clock::now_seconds().saturating_sub(WRONG_CODES_SECONDS);
        let store = Store::open(&self.state)?;
        store.exec("DELETE FROM wrong_codes WHERE at <= ?", vec![seconds(since)?])?;
        let count: Option<Count> = store.one("SELECT count(*) AS wrong FROM wrong_codes", vec![])?;
        Ok(count.map_or(0, |count| count.wrong))
    }

    fn count_wrong_code(&self) -> Result<()> {
        let now = seconds(clock::now_seconds())?;
        Store::open(&self.state)?.exec("INSERT INTO wrong_codes (at) VALUES (?)", vec![now])
    }
}
