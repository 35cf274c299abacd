//! What holds for every row.

use std::collections::BTreeSet;

use super::*;
use crate::api::contract::{Access, Audit, Method, RateClass};
use crate::api::sandbox::Order;
use crate::api::snapshots::SnapshotCall;

#[test]
fn names_and_addresses_are_unique() {
    let names: BTreeSet<_> = endpoints().map(Endpoint::name).collect();
    assert_eq!(names.len(), endpoints().count());
    for (index, one) in endpoints().enumerate() {
        for other in endpoints().skip(index + 1) {
            let apart = one.path() != other.path()
                || one.method() != other.method()
                || (one.hosts() != other.hosts()
                    && Hosts::Both != one.hosts()
                    && Hosts::Both != other.hosts());
            assert!(apart, "{} and {}", one.name(), other.name());
            assert_ne!(
                one.operation(),
                other.operation(),
                "{} and {}",
                one.name(),
                other.name()
            );
        }
    }
}

#[test]
fn admin_paths_and_admin_access_coincide() {
    for endpoint in endpoints() {
        let below_admin = endpoint.path().starts_with("/api/admin/");
        let is_monitored = endpoint.access() == Access::Monitor;
        assert_eq!(
            endpoint.access() == Access::Admin || is_monitored,
            below_admin,
            "{}",
            endpoint.name()
        );
        if below_admin {
            assert_eq!(endpoint.hosts(), Hosts::Platform, "{}", endpoint.name());
            assert!(
                matches!(endpoint.audit(), Audit::Look | Audit::Change) || is_monitored,
                "{}",
                endpoint.name()
            );
        }
    }
}

#[test]
fn every_change_is_written_into_the_history() {
    for endpoint in endpoints() {
        let reads = matches!(endpoint.method(), Method::Get | Method::GetOnly);
        // What an owner does at their bot is between the two.
        let at_bot = endpoint.operation() == Operation::ServeBot;
        // A session is renewed, as by each request that comes with one; a POST, because only scripts send those as they are.
        let renews = endpoint.operation() == Operation::ResumeAdminSession;
        assert!(
            reads || at_bot || renews || endpoint.changes(),
            "{}",
            endpoint.name()
        );
        // The one kind of change that is a GET: a browser that comes back from elsewhere.
        let by_get = endpoint.changes() && reads;
        assert_eq!(
            by_get,
            endpoint.audit() == Audit::SignIn && reads,
            "{}",
            endpoint.name()
        );
    }
}

#[test]
fn what_signs_somebody_in_is_counted_most_strictly() {
    let strict: Vec<_> = endpoints()
        .filter(|endpoint| endpoint.rate() == RateClass::SignIn)
        .map(Endpoint::name)
        .collect();
    assert_eq!(
        strict,
        [
            "sign-in",
            "prove-second-factor",
            "begin-sign-in",
            "finish-sign-in"
        ]
    );
}

#[test]
fn a_session_alone_changes_only_what_has_a_button() {
    let buttons: Vec<_> = endpoints()
        .filter(|endpoint| endpoint.access() == Access::OwnerOrButton)
        .map(Endpoint::operation)
        .collect();
    assert_eq!(
        buttons,
        [
            Operation::OrderBot(Order::Start),
            Operation::OrderBot(Order::Restart),
            Operation::Snapshots(SnapshotCall::Keep),
            Operation::Snapshots(SnapshotCall::PutBack),
        ]
    );
    for endpoint in endpoints().filter(|endpoint| endpoint.access() == Access::Owner) {
        assert_eq!(endpoint.audit(), Audit::Nothing, "{}", endpoint.name());
    }
}

#[test]
fn each_orders_path_ends_in_its_name() {
    for endpoint in endpoints() {
        let name = match endpoint.operation() {
            Operation::OrderBot(order) | Operation::OrderBotOf(order) => order.as_str(),
            Operation::SetUserStatus(status) => status.verb(),
            _ => continue,
        };
        assert!(
            endpoint.path().ends_with(&format!("/{name}")),
            "{}",
            endpoint.path()
        );
    }
}

#[test]
fn whatever_only_an_owner_may_call_on_a_bots_host_names_its_refusal() {
    let refusing: Vec<_> = endpoints()
        .filter(|endpoint| endpoint.problems().contains(&Refusal::NotYourBot))
        .map(Endpoint::name)
        .collect();
    assert_eq!(
        refusing,
        [
            "issue-handoff-code",
            "get-bot",
            "start-bot",
            "restart-bot",
            "keep-home",
            "put-back-home",
            "show-choice",
            "serve-bot"
        ]
    );
}
