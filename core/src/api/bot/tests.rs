//! What a supervisor says in words, and what the list of the fleet takes.

use super::*;

#[test]
fn names_of_states_match_their_serialized_form() {
    for state in BotState::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    for health in Health::ALL {
        assert_eq!(serde_json::to_value(health).unwrap(), health.as_str());
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
        healthy_at: None,
        restarts: vec![],
        memory: None,
        disk: None,
        unsaved_since: None,
        drill: None,
    }
}

const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

#[test]
fn a_fleet_query_is_read_name_by_name() {
    let asked = [
        ("state", "running"),
        ("health", "unknown"),
        ("key", "older"),
        ("search", "ali"),
        ("sort", "active"),
    ];
    let query = FleetQuery::read(asked.into_iter()).unwrap();
    let cursor = query.cursor(&listed(ALICE));
    assert_eq!(cursor, format!("active.7.{ALICE}"));
    let asked = asked.into_iter().chain([("cursor", cursor.as_str())]);
    let expected = FleetQuery {
        state: Some(BotState::Running),
        health: Some(Health::Unknown),
        needs_older_key: true,
        search: Some("ali".into()),
        order: FleetOrder::Active,
        after: Some((7, ALICE.parse().unwrap())),
    };
    assert_eq!(FleetQuery::read(asked), Ok(expected));
    assert_eq!(
        FleetQuery::read([("search", ""), ("cursor", "")].into_iter()),
        Ok(FleetQuery::default())
    );
}

#[test]
fn a_cursor_is_refused_in_every_order_but_its_own() {
    for order in FleetOrder::ALL {
        let of = FleetQuery {
            order,
            ..FleetQuery::default()
        };
        let cursor = of.cursor(&listed(ALICE));
        for other in FleetOrder::ALL {
            // The cursor may stand before the order it is judged by.
            let asked = [("cursor", cursor.as_str()), ("sort", other.as_str())];
            let read = FleetQuery::read(asked.into_iter());
            assert_eq!(read.is_ok(), order == other, "{cursor} {other:?}");
            if let Err(foreign) = read {
                assert!(foreign.to_string().contains(&format!("sort={}:", order.as_str())));
            }
        }
    }
    // Without `sort` it is by user.
    let foreign = format!("since.5.{ALICE}");
    assert!(FleetQuery::read([("cursor", foreign.as_str())].into_iter()).is_err());
}

#[test]
fn a_fleet_query_says_what_it_takes() {
    let takes = |name: &str, value: &str| {
        let parameter = FLEET_QUERY.iter().find(|parameter| parameter.name == name);
        parameter.unwrap().takes.allows(value)
    };
    for (name, value) in [
        ("state", "Running"),
        ("state", ""),
        ("health", "good"),
        ("key", "1"),
        ("sort", "email"),
        ("cursor", "7"),
        ("cursor", &format!("7.{ALICE}")),
        ("cursor", &format!("email.7.{ALICE}")),
        ("cursor", &format!("active.x.{ALICE}")),
        ("cursor", &format!("active..{ALICE}")),
        ("cursor", &format!("active.+7.{ALICE}")),
        ("cursor", &format!("active.1000000000000000.{ALICE}")),
        ("cursor", "active.7.undefined"),
    ] {
        assert!(!takes(name, value), "{name} {value}");
    }
    for (name, value) in [
        ("state", "crash-looped"),
        ("health", "unknown"),
        ("sort", "since"),
        ("cursor", ""),
        ("cursor", &format!("active.7.{ALICE}")),
    ] {
        assert!(takes(name, value), "{name} {value}");
    }
}

#[test]
fn the_history_tells_what_was_looked_for_in_the_fleet() {
    assert_eq!(FleetQuery::default().history_detail(), None);
    let user = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
    let cursor = format!("active.17.{user}");
    let asked = [
        ("state", "running"),
        ("health", "healthy"),
        ("search", "alice@"),
        ("sort", "active"),
        ("cursor", cursor.as_str()),
    ];
    let query = FleetQuery::read(asked.into_iter()).unwrap();
    let told = format!("state running, health healthy, search alice@, after {user}");
    assert_eq!(query.history_detail(), Some(told));
}
