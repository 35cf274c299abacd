//! Every refusal, in one table.

use super::*;
use std::collections::BTreeSet;

#[test]
fn every_refusal_is_in_the_table() {
    let source = include_str!("../problem.rs");
    let (_, rest) = source.split_once("pub enum Refusal {\n").unwrap();
    let (variants, _) = rest.split_once("\n}").unwrap();
    let written = variants.lines().map(str::trim);
    let written: BTreeSet<_> = written
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect();
    let listed: BTreeSet<_> = Refusal::ALL
        .iter()
        .map(|refusal| format!("{refusal:?}"))
        .collect();
    assert_eq!(written, listed);
}

#[test]
fn a_refusal_is_known_by_its_code() {
    for refusal in Refusal::ALL {
        let (_, code, _) = refusal.facts();
        assert_eq!(Refusal::of_code(code), Some(refusal));
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(text, format!("\"{code}\""));
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
    }
    assert_eq!(Refusal::of_code("NotFound"), None);
    assert!(serde_json::from_str::<Refusal>("\"\"").is_err());
}

#[test]
fn codes_are_unique_and_statuses_fit() {
    let codes: BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.facts().1).collect();
    assert_eq!(codes.len(), Refusal::ALL.len());
    for refusal in Refusal::ALL {
        let (status, code, _) = refusal.facts();
        assert_eq!(status == 401, refusal.challenge().is_some(), "{code}");
        assert_eq!(
            matches!(status, 429 | 503),
            refusal.retry_after().is_some(),
            "{code}"
        );
    }
}

#[test]
fn every_refusal_is_somebodys_fault() {
    for (refusal, fault) in [
        (Refusal::BadRequest, Fault::Caller),
        (Refusal::SignInRequired, Fault::Caller),
        (Refusal::TooMany, Fault::Caller),
        (Refusal::NotConfigured, Fault::Operator),
        (Refusal::NotInvited, Fault::Operator),
        (Refusal::NoCapacity, Fault::Operator),
        (Refusal::DirectoryUnavailable, Fault::Platform),
        (Refusal::Internal, Fault::Platform),
        (Refusal::BotStopped, Fault::Bot),
        (Refusal::BotWaking, Fault::Bot),
    ] {
        assert_eq!(refusal.fault(), fault, "{refusal:?}");
    }
    for refusal in Refusal::ALL {
        let (status, code, _) = refusal.facts();
        match refusal.fault() {
            // What the caller did wrong is no failure of ours, and what we did wrong is none of theirs.
            Fault::Caller => assert!(status < 500, "{code}"),
            Fault::Platform => assert!(status >= 500, "{code}"),
            Fault::Operator | Fault::Bot => {}
        }
    }
}
