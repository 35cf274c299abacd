//! A person's own domain: how it is proven to be theirs, and what its certificate is waiting for.

use serde::{Deserialize, Serialize};

use crate::http::host::HostName;
use crate::json::{self, Json};

/// Domains one person may have claimed at a time. Each may cost the operator a certificate.
pub const MAX_DOMAINS: u32 = 5;
/// Random bytes in a proof: not to be guessed before its record is there.
pub const PROOF_BYTES: u32 = 16;
/// The record's name is this label before the domain, so that it is in nobody's way.
const PROOF_LABEL: &str = "_moltworker";
const PROOF_PREFIX: &str = "moltworker-domain=";
/// The type of a TXT record (RFC 1035 §3.2.2).
const TXT: u16 = 16;
/// The DNS answers "no error" and "no such name": both are answers.
const ANSWERED: [u16; 2] = [0, 3];

/// What is known about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DomainState {
    /// Not proven yet; the host leads nowhere.
    Pending,
    /// Proven; the host leads to the bot.
    Verified,
}

impl DomainState {
    /// Its text in JSON and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
        }
    }
}

/// The name of the TXT record that proves a domain.
pub fn proof_name(host: &HostName) -> String {
    format!("{PROOF_LABEL}.{host}")
}

/// What that record has to say.
pub fn proof_value(proof: &str) -> String {
    format!("{PROOF_PREFIX}{proof}")
}

/// A resolver that does not answer the question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Not the JSON form.
    #[error("the resolver's answer is not DNS in JSON")]
    Malformed,
    /// It failed (2 is SERVFAIL, 5 is REFUSED).
    #[error("the resolver answered with status {0}")]
    Status(u16),
}

/// Whether a resolver's JSON answer to the question for [`proof_name`] holds the proof.
///
/// # Errors
/// The resolver could not say: that is not a no.
pub fn is_proven(answer: &str, proof: &str) -> Result<bool, NoAnswer> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Status")]
        status: u16,
        #[serde(rename = "Answer", default)]
        records: Vec<Record>,
    }
    #[derive(Deserialize)]
    struct Record {
        r#type: u16,
        data: String,
    }

    let answer: Answer = json::read(answer).map_err(|_| NoAnswer::Malformed)?;
    if !ANSWERED.contains(&answer.status) {
        return Err(NoAnswer::Status(answer.status));
    }
    let wanted = proof_value(proof);
    let mut texts = answer.records.iter().filter(|record| record.r#type == TXT);
    Ok(texts.any(|record| text(&record.data) == wanted))
}

/// A TXT record's text. Resolvers write it as the zone file does, in pieces between quotes, or bare.
fn text(data: &str) -> String {
    let data = data.trim();
    match data.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        // A proof holds neither quotes nor backslashes, so pieces can be joined where they meet.
        Some(quoted) => quoted.split("\" \"").collect(),
        None => data.to_owned(),
    }
}

/// How far Cloudflare is with a custom hostname.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// Of the hostname: `pending`, `active`, `moved`, `blocked`, …
    pub hostname: String,
    /// Of its certificate: `initializing`, `pending_validation`, `active`, …
    pub certificate: String,
    /// What it is waiting for, in Cloudflare's words.
    pub waiting_for: Vec<String>,
}

/// What the custom hostname API said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostnameAnswer {
    /// The hostname as it is.
    Found {
        /// Cloudflare's id for it.
        id: String,
        /// How far it is.
        certificate: Certificate,
    },
    /// There is none (any more).
    Absent,
    /// One of that name exists already (error 1406).
    Duplicate,
    /// It refused, in its own words.
    Refused(String),
}

/// Reads an answer of `…/custom_hostnames`, to one hostname or to a search for one.
pub fn hostname_answer(status: u16, body: &str) -> HostnameAnswer {
    #[derive(Deserialize)]
    struct Envelope {
        success: bool,
        #[serde(default)]
        errors: Vec<ApiError>,
        #[serde(default)]
        result: Option<Json>,
    }
    #[derive(Deserialize)]
    struct ApiError {
        #[serde(default)]
        code: u32,
        #[serde(default)]
        message: String,
    }
    #[derive(Deserialize)]
    struct Hostname {
        id: String,
        #[serde(default)]
        status: String,
        ssl: Option<Ssl>,
        #[serde(default)]
        verification_errors: Vec<String>,
    }
    #[derive(Deserialize, Default)]
    struct Ssl {
        #[serde(default)]
        status: String,
        #[serde(default)]
        validation_errors: Vec<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        message: String,
    }
    /// Cloudflare's code for "Duplicate custom hostname found."
    const DUPLICATE: u32 = 1406;

    if status == 404 {
        return HostnameAnswer::Absent;
    }
    let Ok(envelope) = json::read::<Envelope>(body) else {
        return HostnameAnswer::Refused(format!("status {status}, and not the API's JSON"));
    };
    if !envelope.success {
        if envelope.errors.iter().any(|error| error.code == DUPLICATE) {
            return HostnameAnswer::Duplicate;
        }
        let words: Vec<_> = envelope
            .errors
            .iter()
            .map(|error| format!("{} {}", error.code, error.message))
            .collect();
        return HostnameAnswer::Refused(words.join("; "));
    }
    // One, or a list of them, by what was asked.
    let found = match envelope.result {
        Some(Json::Array(hostnames)) => hostnames.into_iter().next(),
        one => one,
    };
    let Some(hostname) = found else {
        return HostnameAnswer::Absent;
    };
    let Ok(hostname) = json::of_value::<Hostname>(&hostname) else {
        return HostnameAnswer::Refused(format!("status {status}, and not the API's JSON"));
    };
    let ssl = hostname.ssl.unwrap_or_default();
    let mut waiting_for = hostname.verification_errors;
    waiting_for.extend(ssl.validation_errors.into_iter().map(|error| error.message));
    HostnameAnswer::Found {
        id: hostname.id,
        certificate: Certificate {
            hostname: hostname.status,
            certificate: ssl.status,
            waiting_for,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_found_among_other_records() {
        let host: HostName = "claw.example.org".parse().unwrap();
        assert_eq!(proof_name(&host), "_moltworker.claw.example.org");
        let answer = |status: u16, records: &str| format!(r#"{{"Status":{status},"Answer":[{records}]}}"#);
        let txt = |data: &str| format!(r#"{{"name":"x","type":16,"TTL":60,"data":{data:?}}}"#);
        let proof = "0123abcd";
        for (what, text, expected) in [
            (
                "quoted",
                answer(0, &txt(r#""moltworker-domain=0123abcd""#)),
                Ok(true),
            ),
            ("bare", answer(0, &txt("moltworker-domain=0123abcd")), Ok(true)),
            (
                "in pieces",
                answer(0, &txt(r#""moltworker-domain=" "0123abcd""#)),
                Ok(true),
            ),
            (
                "second of two",
                answer(
                    0,
                    &format!(
                        "{},{}",
                        txt(r#""v=spf1 -all""#),
                        txt(r#""moltworker-domain=0123abcd""#)
                    ),
                ),
                Ok(true),
            ),
            (
                "another's",
                answer(0, &txt(r#""moltworker-domain=ffff""#)),
                Ok(false),
            ),
            (
                "a part of it",
                answer(0, &txt(r#""moltworker-domain=0123abcd0""#)),
                Ok(false),
            ),
            ("no record", answer(0, ""), Ok(false)),
            ("no such name", r#"{"Status":3}"#.into(), Ok(false)),
            (
                "a CNAME",
                answer(0, r#"{"name":"x","type":5,"data":"moltworker-domain=0123abcd"}"#),
                Ok(false),
            ),
            ("a failure", answer(2, ""), Err(NoAnswer::Status(2))),
            ("no DNS", "<html>".into(), Err(NoAnswer::Malformed)),
        ] {
            assert_eq!(is_proven(&text, proof), expected, "{what}");
        }
    }

    #[test]
    fn an_empty_proof_is_refused() {
        assert_eq!(
            is_proven(r#"{"Status":0,"Answer":[{"type":16,"data":"\""}]}"#, "x"),
            Ok(false)
        );
    }

    #[test]
    fn the_certificates_state_is_read_from_cloudflares_answer() {
        let pending = r#"{"success":true,"errors":[],"messages":[],"result":{"id":"0d89c70d","hostname":"claw.example.org",
            "status":"pending","verification_errors":["None of the A or AAAA records are owned by this account."],
            "ssl":{"id":"1","type":"dv","method":"http","status":"pending_validation",
            "validation_errors":[{"message":"the http validation file was not found"}]},
            "ownership_verification":{"type":"txt","name":"_cf-custom-hostname.claw.example.org","value":"x"}}}"#;
        let HostnameAnswer::Found { id, certificate } = hostname_answer(201, pending) else {
            panic!("not found");
        };
        assert_eq!(
            (id.as_str(), certificate.hostname.as_str()),
            ("0d89c70d", "pending")
        );
        assert_eq!(certificate.certificate, "pending_validation");
        assert_eq!(certificate.waiting_for.len(), 2);

        let list = r#"{"success":true,"errors":[],"result":[{"id":"a","status":"active","ssl":null}]}"#;
        assert!(matches!(hostname_answer(200, list), HostnameAnswer::Found { id, .. } if id == "a"));
        let duplicate = r#"{"success":false,"errors":[{"code":1406,"message":"Duplicate custom hostname found."}],"result":null}"#;
        let denied = r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#;
        for (status, body, expected) in [
            (
                200,
                r#"{"success":true,"errors":[],"result":[]}"#,
                HostnameAnswer::Absent,
            ),
            (404, "", HostnameAnswer::Absent),
            (409, duplicate, HostnameAnswer::Duplicate),
            (
                403,
                denied,
                HostnameAnswer::Refused("10000 Authentication error".into()),
            ),
            (
                502,
                "<html>",
                HostnameAnswer::Refused("status 502, and not the API's JSON".into()),
            ),
        ] {
            assert_eq!(hostname_answer(status, body), expected);
        }
    }
}
