//! Whether a gateway may be put to sleep, from what it says about its channels and its work.
//!
//! Its words are those of OpenClaw 2026.9.6 (`gateway/external-apps.md` and `plugins/admin-http-rpc.md` of its
//! documentation, and its type `ChannelAccountSnapshot`).

use serde_json::Value;

use crate::wire::control::Quiesce;

/// When to ask again where the gateway does not say. Where it does, it says this.
const ASK_AGAIN_MS: u64 = 20_000;
/// There are 14 kinds of work; a longer list is of single tasks, and nobody reads it.
const MAX_BLOCKERS: usize = 20;
/// The name of a kind of work, of a channel or of an account is shown in one line with others.
const MAX_NAME_CHARACTERS: usize = 40;
/// How a channel that others call names its way of receiving: a call can wake the bot. Every other way is a
/// connection or a question of the gateway's own, and ends with it.
const CALLED: [&str; 2] = ["webhook", "http"];

/// Why a call was not answered with what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcRefusal {
    /// There is no such call, or not for us.
    NotOffered,
    /// Not now. It may have said in how many milliseconds to ask again.
    NotNow(Option<u64>),
}

/// What keeps the bot awake by the gateway's answer to `channels.status`: an account that listens, or that
/// nothing is known about them. `None` when nothing does.
pub fn kept_awake_by_channels(answer: Result<&Value, RpcRefusal>) -> Option<Quiesce> {
    let status = match answer {
        Ok(status) => status,
        Err(refused) => return Some(unanswered(refused)),
    };
    let Some(channels) = status.get("channelAccounts").and_then(Value::as_object) else {
        return Some(Quiesce::Unsupported);
    };
    let accounts = channels.iter().flat_map(|(channel, accounts)| {
        let accounts = accounts.as_array().map(Vec::as_slice).unwrap_or_default();
        accounts.iter().map(move |account| (channel, account))
    });
    let listening: Vec<String> = accounts
        .filter(|(_, account)| listens(account))
        .map(|(channel, account)| {
            let name = account
                .get("accountId")
                .and_then(Value::as_str)
                .unwrap_or_default();
            format!("channel {} {}", short(channel), short(name))
        })
        .collect();
    (!listening.is_empty()).then(|| busy(listening, None))
}

/// What follows from the gateway's answer to `gateway.suspend.prepare`.
pub fn prepared(answer: Result<&Value, RpcRefusal>) -> Quiesce {
    let answer = match answer {
        Ok(answer) => answer,
        Err(refused) => return unanswered(refused),
    };
    match answer.get("status").and_then(Value::as_str) {
        Some("ready") => Quiesce::Ready,
        Some("busy") => {
            let blockers = answer.get("blockers").and_then(Value::as_array);
            let blockers = blockers.map(Vec::as_slice).unwrap_or_default();
            let retry = answer.get("retryAfterMs").and_then(Value::as_u64);
            busy(blockers.iter().map(describe_blocker).collect(), retry)
        }
        _ => Quiesce::Unsupported,
    }
}

/// An account between two attempts counts: it is meant to receive.
fn listens(account: &Value) -> bool {
    let is = |field: &str| account.get(field).and_then(Value::as_bool) == Some(true);
    let mode = account.get("mode").and_then(Value::as_str);
    (is("running") || is("restartPending")) && !mode.is_some_and(|mode| CALLED.contains(&mode))
}

/// Kind and count only: the message beside them may quote what the owner wrote.
fn describe_blocker(blocker: &Value) -> String {
    let count = blocker.get("count").and_then(Value::as_u64).unwrap_or(1);
    let kind = blocker.get("kind").and_then(Value::as_str).unwrap_or("unknown");
    format!("{count} {}", short(kind))
}

fn busy(mut blockers: Vec<String>, retry_after_ms: Option<u64>) -> Quiesce {
    blockers.truncate(MAX_BLOCKERS);
    Quiesce::Busy {
        blockers,
        retry_after_ms: retry_after_ms.unwrap_or(ASK_AGAIN_MS),
    }
}

fn unanswered(refused: RpcRefusal) -> Quiesce {
    match refused {
        RpcRefusal::NotOffered => Quiesce::Unsupported,
        // Not to know is no reason to end it.
        RpcRefusal::NotNow(retry) => busy(vec!["no answer".to_owned()], retry),
    }
}

fn short(name: &str) -> String {
    let printable = name.chars().filter(|character| !character.is_control());
    printable.take(MAX_NAME_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn blockers(answer: Option<Quiesce>) -> Vec<String> {
        match answer {
            Some(Quiesce::Busy { blockers, .. }) => blockers,
            None => Vec::new(),
            Some(other) => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn an_active_channel_keeps_the_bot_awake() {
        let listening = ["channel telegram default"].as_slice();
        for (account, kept) in [
            (
                json!({"accountId": "default", "running": true, "mode": "polling"}),
                listening,
            ),
            // Not every channel has a name for its way: then it holds a connection.
            (json!({"accountId": "default", "running": true}), listening),
            (
                json!({"accountId": "default", "running": true, "mode": "socket"}),
                listening,
            ),
            (
                json!({"accountId": "default", "running": false, "restartPending": true, "mode": "polling"}),
                listening,
            ),
            (
                json!({"accountId": "default", "running": true, "mode": "webhook"}),
                &[],
            ),
            (
                json!({"accountId": "default", "running": true, "mode": "http"}),
                &[],
            ),
            (
                json!({"accountId": "default", "running": false, "configured": true}),
                &[],
            ),
            (json!({"accountId": "default", "enabled": false}), &[]),
            (json!("not an account"), &[]),
        ] {
            let status = json!({"channelAccounts": {"telegram": [account], "discord": []}});
            assert_eq!(blockers(kept_awake_by_channels(Ok(&status))), kept, "{account}");
        }
        let none = json!({"channelAccounts": {}});
        assert_eq!(kept_awake_by_channels(Ok(&none)), None);
    }

    #[test]
    fn running_work_keeps_the_bot_awake() {
        let answer = json!({"status": "busy", "reason": "active-work", "retryAfterMs": 7_000, "activeCount": 3,
            "blockers": [{"kind": "embedded-run", "count": 2, "message": "their words"}, {"kind": "cron-run", "count": 1}]});
        let busy = Quiesce::Busy {
            blockers: vec!["2 embedded-run".into(), "1 cron-run".into()],
            retry_after_ms: 7_000,
        };
        assert_eq!(prepared(Ok(&answer)), busy);
        let ready = json!({"status": "ready", "suspensionId": "s", "expiresAtMs": 1, "blockers": []});
        assert_eq!(prepared(Ok(&ready)), Quiesce::Ready);
    }

    #[test]
    fn an_unknown_answer_does_not_permit_sleep() {
        let unknown = Quiesce::Busy {
            blockers: vec!["no answer".into()],
            retry_after_ms: ASK_AGAIN_MS,
        };
        let later = Quiesce::Busy {
            blockers: vec!["no answer".into()],
            retry_after_ms: 5,
        };
        for (refused, answer) in [
            (RpcRefusal::NotOffered, Quiesce::Unsupported),
            (RpcRefusal::NotNow(None), unknown),
            (RpcRefusal::NotNow(Some(5)), later),
        ] {
            assert_eq!(kept_awake_by_channels(Err(refused)), Some(answer.clone()));
            assert_eq!(prepared(Err(refused)), answer);
        }
        for other in [json!({}), json!({"status": "dreaming"}), json!([])] {
            assert_eq!(prepared(Ok(&other)), Quiesce::Unsupported);
            assert_eq!(kept_awake_by_channels(Ok(&other)), Some(Quiesce::Unsupported));
        }
    }

    #[test]
    fn long_blocker_lists_are_truncated() {
        let blocker = json!({"kind": "k\n".repeat(1_000), "count": 1});
        let answer = json!({"status": "busy", "blockers": vec![blocker; 1_000]});
        let said = blockers(Some(prepared(Ok(&answer))));
        assert_eq!(said.len(), MAX_BLOCKERS);
        assert_eq!(said[0], format!("1 {}", "k".repeat(MAX_NAME_CHARACTERS)));
    }
}
