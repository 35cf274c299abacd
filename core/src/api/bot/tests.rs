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
        incidents: vec![],
    }
}

const ALICE: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

#[test]
fn a_fleet_query_is_read_name_by_name() {
    let asked = [
        ("state", "running"),
        ("health", "unknown"),
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
