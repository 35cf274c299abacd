//! The devices that may reach a bot's gateway with a key of their own, and those that want to. Times are milliseconds since
//! 1970.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET` on the control port: a [`DeviceList`]. Below it, `POST` of a [`DeviceName`]: see [`DeviceCall::path`]; it answers the list
/// afterwards.
pub const DEVICES_PATH: &str = "/v1/devices";
/// So many of each kind are told. Somebody has a dozen; a gateway that says more is not to be believed.
const MAX_DEVICES: usize = 100;
/// Bytes of a [`DeviceList`] that the Sandbox reads: with all of that, in letters of two bytes.
pub const MAX_DEVICES_BYTES: usize = 2 * 1024 * 1024;
/// Characters of an id, and of what else is said of a device.
pub const MAX_DEVICE_ID: usize = 128;
const MAX_TEXT: usize = 100;
/// So many scopes, roles and the like are told.
const MAX_SCOPES: usize = 20;

/// A call about a bot's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceCall {
    /// Which there are.
    List,
    /// Let one in that waits.
    Approve,
    /// Turn one away that waits.
    Reject,
    /// Take a device's access from it.
    Revoke,
}

impl DeviceCall {
    /// Where it is on the control port.
    pub fn path(self) -> String {
        match self {
            Self::List => DEVICES_PATH.to_owned(),
            Self::Approve => format!("{DEVICES_PATH}/approve"),
            Self::Reject => format!("{DEVICES_PATH}/reject"),
            Self::Revoke => format!("{DEVICES_PATH}/revoke"),
        }
    }

    /// The call at that path.
    pub fn at(path: &str) -> Option<Self> {
        let all = [Self::List, Self::Approve, Self::Reject, Self::Revoke];
        all.into_iter().find(|call| call.path() == path)
    }
}

/// Names a device, or a request of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceName {
    /// Its `id` in the list.
    pub id: String,
}

/// The devices of a bot, as its gateway tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceList {
    /// Those that wait to be let in: a request of theirs is approved or rejected.
    pub pending: Vec<Device>,
    /// Those that are let in: a device is revoked.
    pub paired: Vec<Device>,
}

/// A device, or a request of one. What it is called and what it runs is its own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// Of a pending one its request's, else the device's.
    pub id: String,
    /// What it is called; null where it does not say.
    pub name: Option<String>,
    /// What it runs on.
    pub platform: Option<String>,
    /// Which program it is.
    pub client: Option<String>,
    /// As what it connects, `operator` or `node`.
    pub roles: Vec<String>,
    /// What it may do, or wants to be allowed.
    pub scopes: Vec<String>,
    /// The address it asked or was let in from.
    pub address: Option<String>,
    /// When it asked, or was let in.
    pub since: u64,
    /// When it was there last, if the gateway says so.
    pub seen_at: Option<u64>,
    /// Whether it is there now.
    pub connected: bool,
}

impl DeviceList {
    /// What is left of it without what this names.
    #[must_use]
    pub fn without(mut self, id: &str) -> Self {
        self.pending.retain(|device| device.id != id);
        self.paired.retain(|device| device.id != id);
        self
    }

    /// What a gateway answers to `device.pair.list`. A device without an id is none.
    pub fn of_gateway(answer: &Value) -> Self {
        let of = |list: &str, id: &str, since: &str| {
            let devices = answer.get(list).and_then(Value::as_array);
            let devices = devices.into_iter().flatten().take(MAX_DEVICES);
            devices
                .filter_map(|device| Device::of_gateway(device, id, since))
                .collect()
        };
        Self {
            pending: of("pending", "requestId", "ts"),
            paired: of("paired", "deviceId", "approvedAtMs"),
        }
    }

    /// Takes no more of it than a supervisor says.
    pub fn bound(&mut self) {
        for devices in [&mut self.pending, &mut self.paired] {
            devices.truncate(MAX_DEVICES);
            devices.retain(|device| is_device_id(&device.id));
            devices.iter_mut().for_each(Device::bound);
        }
    }
}

impl Device {
    fn of_gateway(device: &Value, id: &str, since: &str) -> Option<Self> {
        let text = |name: &str| device.get(name).and_then(Value::as_str).map(in_short);
        let texts = |name: &str| -> Vec<String> {
            let items = device.get(name).and_then(Value::as_array).into_iter().flatten();
            items
                .filter_map(Value::as_str)
                .take(MAX_SCOPES)
                .map(in_short)
                .collect()
        };
        let time = |name: &str| device.get(name).and_then(Value::as_u64);
        let id = device
            .get(id)
            .and_then(Value::as_str)
            .filter(|id| is_device_id(id))?;
        let mut roles = texts("roles");
        if roles.is_empty() {
            roles.extend(text("role"));
        }
        Some(Self {
            id: id.to_owned(),
            // What its owner calls it counts more.
            name: text("operatorLabel").or_else(|| text("displayName")),
            platform: text("platform"),
            client: text("clientId"),
            roles,
            scopes: texts("scopes"),
            address: text("remoteIp"),
            since: time(since).unwrap_or_default(),
            seen_at: time("lastSeenAtMs"),
            connected: device
                .get("connected")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        })
    }

    fn bound(&mut self) {
        let texts = [
            &mut self.name,
            &mut self.platform,
            &mut self.client,
            &mut self.address,
        ];
        for text in texts.into_iter().flatten() {
            *text = in_short(text);
        }
        for texts in [&mut self.roles, &mut self.scopes] {
            texts.truncate(MAX_SCOPES);
            for text in texts {
                *text = in_short(text);
            }
        }
    }
}

/// Whether it is an id that a gateway gives: what goes back to it is nothing else.
pub fn is_device_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_DEVICE_ID
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

fn in_short(text: &str) -> String {
    let printable = text.chars().filter(|character| !character.is_control());
    printable.take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_told_without_what_was_taken_from_it() {
        let device = |id: &str| json!({ "requestId": id, "deviceId": id });
        let list = |ids: &[&str]| {
            let all: Vec<_> = ids.iter().map(|id| device(id)).collect();
            DeviceList::of_gateway(&json!({ "pending": all, "paired": all }))
        };
        assert_eq!(list(&["a", "b"]).without("a"), list(&["b"]));
    }

    /// As OpenClaw 2026.9.6 answers.
    #[test]
    fn devices_are_read_from_what_a_gateway_answers() {
        let answer = json!({
            "pending": [{
                "requestId": "r-1", "deviceId": "d-1", "publicKey": "k", "displayName": "Ann's\nphone", "platform": "ios",
                "clientId": "openclaw-ios", "role": "operator", "scopes": ["operator.read"], "remoteIp": "192.0.2.7", "ts": 5,
            }, { "deviceId": "without a request" }],
            "paired": [{
                "deviceId": "d-2", "displayName": "its own", "operatorLabel": "mine", "roles": ["operator", "node"], "approvedAtMs": 7,
                "lastSeenAtMs": 9, "connected": true, "tokens": [{ "role": "operator" }],
            }],
        });
        let list = DeviceList::of_gateway(&answer);
        assert_eq!(
            list.pending,
            [Device {
                id: "r-1".into(),
                name: Some("Ann'sphone".into()),
                platform: Some("ios".into()),
                client: Some("openclaw-ios".into()),
                roles: vec!["operator".into()],
                scopes: vec!["operator.read".into()],
                address: Some("192.0.2.7".into()),
                since: 5,
                ..Device::default()
            }]
        );
        assert_eq!(
            list.paired,
            [Device {
                id: "d-2".into(),
                name: Some("mine".into()),
                roles: vec!["operator".into(), "node".into()],
                since: 7,
                seen_at: Some(9),
                connected: true,
                ..Device::default()
            }]
        );
        for odd in [
            json!(null),
            json!({"pending": 7}),
            json!({"pending": [null, 7, []]}),
        ] {
            assert_eq!(DeviceList::of_gateway(&odd), DeviceList::default(), "{odd}");
        }
    }

    #[test]
    fn what_is_said_of_devices_is_cut() {
        let long = "é".repeat(10_000);
        let device = json!({
            "deviceId": "d", "displayName": long, "scopes": vec![&long; 100], "approvedAtMs": 1,
        });
        let list = DeviceList::of_gateway(&json!({ "paired": vec![&device; 1_000] }));
        assert!(serde_json::to_string(&list).unwrap().len() < MAX_DEVICES_BYTES);
        let mut said = DeviceList {
            pending: vec![
                Device {
                    id: "d".into(),
                    name: Some(long.clone()),
                    scopes: vec![long; 100],
                    ..Device::default()
                };
                1_000
            ],
            paired: vec![Device {
                id: "../x".into(),
                ..Device::default()
            }],
        };
        said.bound();
        assert_eq!((said.pending.len(), said.paired.len()), (MAX_DEVICES, 0));
        assert_eq!(said.pending[0].scopes.len(), MAX_SCOPES);
        assert!(serde_json::to_string(&said).unwrap().len() < MAX_DEVICES_BYTES);
    }

    #[test]
    fn a_call_is_found_by_its_path() {
        for call in [
            DeviceCall::List,
            DeviceCall::Approve,
            DeviceCall::Reject,
            DeviceCall::Revoke,
        ] {
            assert_eq!(DeviceCall::at(&call.path()), Some(call));
        }
        assert_eq!(DeviceCall::at("/v1/devices/"), None);
    }
}
