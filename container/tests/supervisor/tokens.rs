//! The token of a run: renewed in time, and replaced by the Sandbox's where it could not be.

use std::time::Duration;

use moltworker_core::wire::job::JobKind;

use crate::fixture::WAIT_DEADLINE;
use crate::kept::{
    ON_DEMAND, QUICK, failure, is_ready, own, post, settled, snapshot, start, taken, until_settled,
};
use crate::repository::{Fault, Repository, What};
use crate::tree::{assert_same, furnish};

/// More renewals than there are in the time a test waits, unless one that failed is soon tried again.
const FAILURES: usize = 20;
const EVERY_MS: &str = "10000";

#[test]
fn a_failed_token_renewal_is_retried_until_it_succeeds() {
    let repository = Repository::start();
    let mut env = ON_DEMAND.to_vec();
    env.push(("TEST_RENEW_EVERY_MS", EVERY_MS));
    env.push(("TEST_RENEW_AGAIN_MS", "100"));
    let fixture = start(&repository, &env);
    until_settled(&fixture);
    repository.break_with(Fault::always("POST", "token", What::Status(401)));
    fixture.wait_for("it has failed often", || {
        (fixture.output().matches("renew the token failed").count() >= FAILURES).then_some(())
    });
    let status = fixture.status();
    assert!(
        failure(&status, JobKind::Snapshot).is_some(),
        "{:?}",
        status.backup
    );
    let before = repository.renewed();
    repository.mend();
    fixture.wait_for("it works", || (repository.renewed() > before).then_some(()));
    fixture.until("it is reported no more", |status| {
        status.backup.as_ref().unwrap().error.is_none()
    });
}

#[test]
fn an_expired_token_is_replaced_by_the_token_of_the_next_order() {
    let repository = Repository::start();
    repository.tokens_live(WAIT_DEADLINE);
    let fixture = start(&repository, &QUICK);
    until_settled(&fixture);
    repository.expire();
    std::fs::write(fixture.home.join("memory"), "not yet saved").unwrap();
    let status = fixture.until("it cannot be saved", |status| {
        failure(status, JobKind::Snapshot).is_some_and(|error| error.attempts > 1)
    });
    let message = &failure(&status, JobKind::Snapshot).unwrap().message;
    assert!(message.contains("401"), "{message}");
    assert!(status.backup.as_ref().unwrap().changed, "the Sandbox sees that");

    let token = repository.mint(WAIT_DEADLINE);
    let order = format!(r#"{{"reason":"change","token":"{token}"}}"#);
    assert_eq!(post(&fixture, "/v1/snapshot", &order).status, 202);
    let before = taken(&status).len();
    let status = fixture.until("it is saved", |status| taken(status).len() > before);
    assert_eq!(status.backup.unwrap().error, None);
    let (_target, restored) = repository.restored("latest");
    assert_eq!(
        std::fs::read_to_string(restored.join("memory")).unwrap(),
        "not yet saved"
    );
    assert!(!fixture.output().contains(&token));
}

#[test]
fn a_snapshot_that_takes_longer_than_a_token_holds_renews_it() {
    let repository = Repository::start();
    let env = [
        ("TEST_SNAPSHOT_SETTLE_MS", "0"),
        ("TEST_SNAPSHOT_SPACING_MS", "600000"),
        ("TEST_REPOSITORY_PATIENCE_MS", "60000"),
    ];
    let fixture = start(&repository, &env);
    until_settled(&fixture);
    repository.tokens_live(Duration::from_secs(12));
    std::fs::write(fixture.home.join("memory"), "more").unwrap();
    for written in ["data/", "index/", "snapshots/"] {
        let late = What::Late(Duration::from_secs(5));
        repository.break_with(Fault::always("POST", written, late));
    }
    snapshot(&fixture);
    let output = fixture.output();
    assert!(!output.contains("answers 401"), "{output}");
    repository.mend();
    let (_target, restored) = repository.restored("latest");
    assert_eq!(std::fs::read_to_string(restored.join("memory")).unwrap(), "more");
}

#[test]
fn a_question_whether_a_bot_may_sleep_brings_a_fresh_token() {
    let repository = Repository::start();
    repository.tokens_live(WAIT_DEADLINE);
    let mut fixture = start(&repository, &ON_DEMAND);
    until_settled(&fixture);
    repository.expire();
    assert_eq!(post(&fixture, "/v1/quiesce", r#"{"token":7}"#).status, 400);
    let token = repository.mint(WAIT_DEADLINE);
    let asked = post(&fixture, "/v1/quiesce", &format!(r#"{{"token":"{token}"}}"#));
    assert_eq!(asked.status, 200);
    std::fs::write(fixture.home.join("memory"), "the last words").unwrap();
    fixture.signal("TERM");
    assert_eq!(fixture.ended().code(), Some(0), "{}", fixture.output());
    let (_target, restored) = repository.restored("latest");
    let memory = std::fs::read_to_string(restored.join("memory"));
    assert_eq!(memory.unwrap(), "the last words");
    assert!(!fixture.output().contains(&token));
}

#[test]
fn a_restore_uses_the_token_of_its_order() {
    let repository = Repository::start();
    let fixture = settled(&repository);
    furnish(&fixture.home);
    let older = snapshot(&fixture);
    let then = own(&fixture);
    std::fs::write(fixture.home.join("a.txt"), "something else").unwrap();
    repository.tokens_live(WAIT_DEADLINE);
    repository.expire();
    let token = repository.mint(WAIT_DEADLINE);
    let order = format!(r#"{{"snapshot":"{}","token":"{token}"}}"#, older.id);
    assert_eq!(post(&fixture, "/v1/restore", &order).status, 202);
    fixture.until("the older state is back", |status| {
        let report = status.backup.as_ref().unwrap().restored.as_ref();
        is_ready(status) && report.and_then(|report| report.snapshot.as_ref()) == Some(&older.id)
    });
    assert_same(&own(&fixture), &then);
}
