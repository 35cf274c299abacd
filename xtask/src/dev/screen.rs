//! What `cargo xtask dev` says once the system runs.

use std::path::Path;

use serde_json::{Value, json};

use super::people::{PEOPLE, Person};
use super::stack::Stack;

/// For a person: how to get in, and where to look.
pub(super) fn text(stack: &Stack, token_options: &str) -> String {
    let url = &stack.url;
    let lines = [
        ("open", url.clone()),
        ("sign in", sign_in()),
        (
            "admin",
            format!(
                "{url}/admin as dev-admin, who sets up an authenticator app at sign-in; cargo xtask token dev-admin for a program"
            ),
        ),
        (
            "program",
            format!(
                "curl --compressed -H \"Authorization: Bearer $(cargo xtask token dev-1{token_options})\" {url}/"
            ),
        ),
        ("model", stack.model.describe()),
        ("identity", format!("{}/auth/v1", stack.supabase_url)),
        ("log", stack.log.display().to_string()),
        ("stop", "Ctrl-C".to_owned()),
    ];
    let mut text = String::from("\n┌─ Moltworker runs\n");
    for (name, value) in lines {
        text.push_str(&format!("│ {name:<9} {value}\n"));
    }
    text.push_str("└─");
    text
}

fn sign_in() -> String {
    let both = |person: &Person| format!("{} / {}", person.email(), person.password());
    let first = PEOPLE.first().map(both).unwrap_or_default();
    let others: Vec<_> = PEOPLE.iter().skip(1).map(|person| person.name).collect();
    format!("{first}   ({} likewise)", others.join(", "))
}

/// For a test: everything it may need to reach a part or to look behind it.
pub(super) fn json(stack: &Stack, keys: &Path) -> Value {
    let users: Vec<Value> = PEOPLE.iter().map(Person::describe).collect();
    json!({
        "url": stack.url,
        "supabaseUrl": stack.supabase_url,
        "anonKey": stack.anon_key,
        "jwtSecret": stack.jwt_secret,
        "modelUrl": stack.model_url,
        "keys": keys,
        "users": users,
        "containerFilter": stack.container_filter,
        "sessionKey": stack.session_key,
        "backupKey": stack.backup_key,
        "operatorToken": stack.operator_token,
        "log": stack.log,
        "pids": { "xtask": std::process::id(), "wrangler": stack.wrangler_pid },
    })
}
