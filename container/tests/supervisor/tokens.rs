//! The token of a run: renewed in time, and replaced by the Sandbox's where it could not be.

use std::time::Duration;

use moltworker_core::wire::control::Doing;

use crate::bed::PATIENCE;
use crate::kept::{
    ON_DEMAND, QUICK, failure, is_ready, lose, own, post, settled, snapshot, start, taken, until_settled,
};
use crate::repository::{Fault, Repository, What};
use crate::tree::{assert_same, furnish};

/// Longer than the errand that it is renewed by.
const LIFE: Duration = Duration::from_secs(2);
/// So long that there are not as many renewals as these in the time a test waits, unless one that failed is soon tried
/// again.
const EVERY_MS: &str = "7000";
const FAILURES: usize = 5;

#[test]
fn a_renewal_that_failed_is_tried_again_until_it_works() {
    let repository = Repository::start();
    let mut env = ON_DEMAND.to_vec();
    env.push(("MOLTBOT_RENEW_EVERY_MS", EVERY_MS));
    env.push(("MOLTBOT_RENEW_AGAIN_MS", "100"));
    let bed = start(&repository, &env);
    until_settled(&bed);
    repository.break_with(Fault::always("POST", "token", What::Status(401)));
    bed.wait_for("it has failed often", || {
        (bed.output().matches("Renew failed").count() >= FAILURES).then_some(())
    });
    let status = bed.status();
    assert!(failure(&status, Doing::Snapshot).is_some(), "{:?}", status.backup);
    let before = repository.renewed();
    repository.mend();
    bed.wait_for("it works", || (repository.renewed() > before).then_some(()));
    bed.until("it is told no more", |status| {
        status.backup.as_ref().unwrap().error.is_none()
    });
}

#[test]
fn a_run_whose_token_has_expired_saves_again_with_the_one_an_order_brings() {
    let repository = Repository::start();
    repository.tokens_live(LIFE);
    let bed = start(&repository, &QUICK);
    until_settled(&bed);
    bed.wait_for("its token has expired", || repository.all_expired().then_some(()));
    std::fs::write(bed.home.join("memory"), "not yet saved").unwrap();
    let status = bed.until("it cannot be saved", |status| {
        failure(status, Doing::Snapshot).is_some_and(|error| error.attempts > 1)
    });
    let message = &failure(&status, Doing::Snapshot).unwrap().message;
    assert!(message.contains("401"), "{message}");
    assert!(status.backup.as_ref().unwrap().changed, "the Sandbox sees that");

    let token = repository.mint(PATIENCE);
    let order = format!(r#"{{"reason":"change","token":"{token}"}}"#);
    assert_eq!(post(&bed, "/v1/snapshot", &order).status, 202);
    let before = taken(&status).len();
    let status = bed.until("it is saved", |status| taken(status).len() > before);
    assert_eq!(status.backup.unwrap().error, None);
    let (_target, restored) = repository.restored("latest");
    assert_eq!(
        std::fs::read_to_string(restored.join("memory")).unwrap(),
        "not yet saved"
    );
    assert!(!bed.output().contains(&token));
    // The next one expires as well, and a stop would try to save until its deadline.
    lose(bed);
}

#[test]
fn a_restore_is_done_with_the_token_its_order_brings() {
    let repository = Repository::start();
    let bed = settled(&repository);
    furnish(&bed.home);
    let older = snapshot(&bed);
    let then = own(&bed);
    std::fs::write(bed.home.join("a.txt"), "something else").unwrap();
    repository.tokens_live(PATIENCE);
    repository.expire();
    let token = repository.mint(PATIENCE);
    let order = format!(r#"{{"snapshot":"{}","token":"{token}"}}"#, older.id);
    assert_eq!(post(&bed, "/v1/restore", &order).status, 202);
    bed.until("the older state is back", |status| {
        let report = status.backup.as_ref().unwrap().restored.as_ref();
        is_ready(status) && report.and_then(|report| report.snapshot.as_ref()) == Some(&older.id)
    });
    assert_same(&own(&bed), &then);
}
