//! What a supervisor says in words, and what the list of the fleet takes.

use super::*;

#[test]
fn state_names_match_their_serialized_form() {
    for state in [
        BotState::Asleep,
        BotState::Starting,
        BotState::Restoring,
        BotState::Running,
        BotState::Unhealthy,
        BotState::Stopping,
        BotState::BackingOff,
        BotState::CrashLooped,
        BotState::Stopped,
        BotState::Suspended,
    ] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}

#[test]
fn the_last_words_of_a_gateway_are_kept_in_no_great_length() {
    use crate::bot::history::MAX_DETAIL;
    use crate::bot::lifecycle::{GatewayCondition, SupervisorReport};
    let golden = include_str!("../../../../tests/contract/status.json");
    let mut status: serde_json::Value = serde_json::from_str(golden).unwrap();
    status["phase"] = "crash-looped".into();
    status["crash_loop"]["message"] = "é".repeat(100_000).into();
    let status: crate::wire::control::Status = serde_json::from_value(status).unwrap();
    let GatewayCondition::GivenUp(words) = SupervisorReport::from(&status).gateway else {
        panic!("it is given up");
    };
    assert_eq!(words.chars().count(), MAX_DETAIL);
}

fn listed(user: &str) -> ListedBot {
    ListedBot {
        user_id: user.parse().unwrap(),
        email: None,
        state: BotState::Running,
        since: 5,
        run: 1,
        health: Health::Healthy,
        pinned: false,
        active_at: 7,
        snapshot_at: Some(9),
        backup_key: Some(1),
        incidents: vec![],
    }
}

const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

#[test]
fn a_fleet_query_is_read_name_by_name() {
    let mut query = FleetQuery::default();
    for (name, value) in [
        ("state", "running"),
        ("health", "unknown"),
        ("key", "older"),
        ("search", "ali"),
        ("sort", "active"),
    ] {
        query.read(name, value).unwrap();
    }
    let cursor = query.cursor(&listed(ALICE));
    assert_eq!(cursor, format!("7.{ALICE}"));
    query.read("cursor", &cursor).unwrap();
    let expected = FleetQuery {
        state: Some(BotState::Running),
        health: Some(Health::Unknown),
        needs_older_key: true,
        search: Some("ali".into()),
        order: FleetOrder::Active,
        after: Some((7, ALICE.parse().unwrap())),
    };
    assert_eq!(query, expected);
}

#[test]
fn a_fleet_query_says_what_it_takes() {
    for (name, value) in [
        ("state", "Running"),
        ("state", ""),
        ("health", "good"),
        ("key", "1"),
        ("sort", "email"),
        ("cursor", "7"),
        ("cursor", &format!("x.{ALICE}")),
        ("cursor", "7.undefined"),
        ("limit", "5"),
    ] {
        let error = FleetQuery::default().read(name, value).unwrap_err();
        assert!(error.contains(name) || name == "limit", "{name} {value}: {error}");
    }
}

#[test]
fn every_value_in_the_description_of_the_query_is_taken() {
    for parameter in &FLEET_QUERY {
        if let Takes::OneOf(values) = parameter.takes {
            for value in values {
                FleetQuery::default().read(parameter.name, value).unwrap();
            }
        }
    }
    for state in BotState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
}

#[test]
fn the_history_tells_what_was_looked_for_in_the_fleet() {
    assert_eq!(FleetQuery::default().history_detail(), None);
    let mut query = FleetQuery::default();
    let user = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
    let cursor = format!("17.{user}");
    for (name, value) in [
        ("state", "running"),
        ("health", "healthy"),
        ("search", "alice@"),
        ("sort", "active"),
        ("cursor", &cursor),
    ] {
        query.read(name, value).unwrap();
    }
    let told = format!("state running, health healthy, search alice@, after {user}");
    assert_eq!(query.history_detail(), Some(told));
}
