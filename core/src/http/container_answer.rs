//! The gate for whatever a container answers: nothing of an answer is used before it has passed here.
//!
//! What runs in a container is a stranger's. The runtime takes apart and puts together again only answers of certain
//! forms, and an answer of another form once ended the Worker's instance, and with it the requests of other people.

use std::fmt;

use crate::http::header_list::HeaderList;

/// The statuses an answer may have (RFC 9110 §15). Lower ones are no answers yet, and the runtime makes none above.
const STATUSES: std::ops::RangeInclusive<u16> = 200..=599;
/// The one status below that ends an exchange of messages: what follows is no HTTP any more.
const SWITCHING_PROTOCOLS: u16 = 101;

/// The first line of an answer that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerAnswer {
    /// An answer with a body.
    Message,
    /// A WebSocket, open from here on.
    WebSocket,
}

/// Why an answer may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadAnswer {
    /// No answer has this status.
    Status(u16),
    /// 101, and nobody asked for a WebSocket, or none came with it.
    NoWebSocket,
    /// A header of a form that HTTP does not have (RFC 9110 §5.1 and §5.5).
    Header,
    /// It is no HTTP, or its head is larger than one may be.
    NotHttp,
}

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => {
                let (least, most) = (STATUSES.start(), STATUSES.end());
                write!(
                    f,
                    "the bot answered with the status {status}; let it answer with {least} to {most}"
                )
            }
            Self::NoWebSocket => f.write_str(
                "the bot changed to a protocol nobody asked for; only a WebSocket can be opened to a bot",
            ),
            Self::Header => f.write_str(
                "the bot answered with a header that holds control characters or has no proper name",
            ),
            Self::NotHttp => f.write_str("what the bot answered is not HTTP, or its headers are too large"),
        }
    }
}

impl ContainerAnswer {
    /// Judges the first line of an answer; `web_socket` says whether a WebSocket was asked for and came with it.
    ///
    /// # Errors
    /// Why it may not pass.
    pub fn of(status: u16, web_socket: bool) -> Result<Self, BadAnswer> {
        match status {
            SWITCHING_PROTOCOLS if web_socket => Ok(Self::WebSocket),
            SWITCHING_PROTOCOLS => Err(BadAnswer::NoWebSocket),
            status if STATUSES.contains(&status) => Ok(Self::Message),
            status => Err(BadAnswer::Status(status)),
        }
    }

    /// Whether the status alone says that an answer passes as a message. Most do.
    pub fn is_message(status: u16) -> bool {
        STATUSES.contains(&status)
    }
}

/// Judges the headers of an answer.
///
/// # Errors
/// [`BadAnswer::Header`].
pub fn check_headers(headers: &HeaderList) -> Result<(), BadAnswer> {
    let good = |(name, value): (&str, &str)| is_name(name.as_bytes()) && is_value(value.as_bytes());
    if headers.iter().all(good) {
        Ok(())
    } else {
        Err(BadAnswer::Header)
    }
}

fn is_name(name: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_token)
}

/// Bytes above ASCII pass: old servers write names of files in them, and clients know how to read them.
fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_the_runtime_can_make_pass_the_gate() {
        for status in 0..=u16::MAX {
            let expected = match status {
                101 => Err(BadAnswer::NoWebSocket),
                200..=599 => Ok(ContainerAnswer::Message),
                _ => Err(BadAnswer::Status(status)),
            };
            assert_eq!(ContainerAnswer::of(status, false), expected, "{status}");
            assert_eq!(ContainerAnswer::is_message(status), expected.is_ok(), "{status}");
        }
        assert_eq!(ContainerAnswer::of(101, true), Ok(ContainerAnswer::WebSocket));
        assert_eq!(ContainerAnswer::of(600, true), Err(BadAnswer::Status(600)));
    }

    #[test]
    fn only_headers_of_http_pass_the_gate() {
        let check = |text: &str| check_headers(&HeaderList::read(text.to_owned()));
        for good in [
            "",
            "content-type,text/html\nset-cookie,a=1\nset-cookie,b=2, c",
            "x-empty,",
            "x!#$%&'*+-.^_`|~1,\t ~",
            "x-v,caf\u{e9} \u{fffd} \u{1f980}",
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for bad in [
            ",a",
            "x y,a",
            "x:y,a",
            "x\u{e9},a",
            "x-v,a\0b",
            "x-v,a\rb",
            "x-v,a\u{1}",
            "x-v,\u{7f}",
            "x-v,\u{1b}[2J",
            "fine,1\n,a",
        ] {
            assert_eq!(check(bad), Err(BadAnswer::Header), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_answer_says_what_would_be_a_good_one() {
        assert_eq!(
            BadAnswer::Status(999).to_string(),
            "the bot answered with the status 999; let it answer with 200 to 599"
        );
    }
}
