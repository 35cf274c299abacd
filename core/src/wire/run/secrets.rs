//! What proves to a supervisor that its own Sandbox speaks: made anew for each run, known to nobody else. The gateway and
//! the agent get neither of them.

use std::fmt;

/// Characters a secret has at least: 32 random bytes as hex are 64; fewer than 32 would be a mistake.
const MIN_LENGTH: usize = 32;
// As the refusal says.
const _: () = assert!(MIN_LENGTH == 32);

/// The bearer secret of one run's control port. Never printed: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlToken(String);

impl ControlToken {
    /// Takes a token as the Sandbox made it.
    ///
    /// # Errors
    /// The reason, when it is too short or not plain ASCII letters and digits.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        checked(text.into()).map(Self)
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlToken(hidden)")
    }
}

/// The secret of one run's ingress: whoever sends it speaks for the bot's owner. Never printed: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct IngressSecret(String);

impl IngressSecret {
    /// Takes a secret as the Sandbox made it.
    ///
    /// # Errors
    /// As [`ControlToken::new`].
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        checked(text.into()).map(Self)
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IngressSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IngressSecret(hidden)")
    }
}

fn checked(text: String) -> Result<String, &'static str> {
    if text.len() < MIN_LENGTH {
        return Err("a secret of a run has at least 32 characters");
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("a secret of a run has only ASCII letters and digits");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_about_a_short_secret_names_the_limit() {
        assert!(ControlToken::new("x".repeat(MIN_LENGTH)).is_ok());
        let error = ControlToken::new("x".repeat(MIN_LENGTH - 1)).unwrap_err();
        assert!(error.contains(&format!("{MIN_LENGTH} characters")), "{error}");
    }
}
