//! A value that never prints itself.

use std::fmt;

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether somebody knows it. Takes as long for every guess of its length: how much of one fits is told by nothing.
    pub fn is(&self, guess: &str) -> bool {
        let pairs = self.0.bytes().zip(guess.bytes());
        let differs = pairs.fold(0, |differs, (one, other)| {
            std::hint::black_box(differs | (one ^ other))
        });
        self.0.len() == guess.len() && differs == 0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_it() {
        let secret = Secret::new("abc".to_owned());
        for (guess, expected) in [
            ("abc", true),
            ("", false),
            ("ab", false),
            ("abd", false),
            ("abcd", false),
        ] {
            assert_eq!(secret.is(guess), expected, "{guess}");
        }
    }
}
