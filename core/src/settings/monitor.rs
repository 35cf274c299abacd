//! What a monitor outside is known by.

use super::Setting;
use crate::secret::Secret;

/// For a monitor outside.
pub const MONITOR_TOKEN: Setting = Setting {
    name: "MONITOR_TOKEN",
    meaning: "a secret of at least 32 characters with which a monitor reads how the platform is, and nothing else",
    how: "run: openssl rand -hex 32 | wrangler secret put MONITOR_TOKEN, or leave it out",
};

/// Characters it has at least.
const MIN_LENGTH: usize = 32;
// As the refusal says.
const _: () = assert!(MIN_LENGTH == 32);

/// A token that is long enough not to be guessed.
pub(super) fn token(text: &str) -> Result<Secret<String>, &'static str> {
    let token = text.trim();
    if token.len() < MIN_LENGTH {
        return Err("is shorter than 32 characters");
    }
    Ok(Secret::new(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        assert!(token(&"x".repeat(MIN_LENGTH - 1)).is_err());
        let read = token(&format!(" {} ", "x".repeat(MIN_LENGTH)));
        assert_eq!(read.map(|token| token.reveal().len()), Ok(MIN_LENGTH));
        assert!(
            MONITOR_TOKEN
                .meaning
                .contains(&format!("{MIN_LENGTH} characters"))
        );
    }
}
