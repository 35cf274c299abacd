//! Reads `wrangler.toml`, by the names that the code declares.

use std::collections::BTreeSet;

use moltworker_core::settings::{
    BUCKET_BINDING, BindingKind, DATABASE_BINDING, Setting, SettingProblem, Settings,
};
use toml::{Table, Value};

/// What `wrangler.toml` says.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(super) table: Table,
}

impl Configuration {
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        text.parse().map(|table| Self { table })
    }

    /// The name of the Worker.
    pub(crate) fn worker(&self) -> Option<&str> {
        self.table.get("name")?.as_str()
    }

    /// The account, if the file names one.
    pub(crate) fn account(&self) -> Option<&str> {
        self.table.get("account_id")?.as_str()
    }

    /// A variable that is not empty.
    pub(crate) fn variable(&self, setting: Setting) -> Option<&str> {
        let value = self.variables()?.get(setting.name)?.as_str()?.trim();
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn variables(&self) -> Option<&Table> {
        self.table.get("vars")?.as_table()
    }

    /// What `core` has to say about the variables.
    pub(super) fn problems(&self) -> Vec<SettingProblem> {
        let get = |name: &str| self.variables()?.get(name)?.as_str().map(str::to_owned);
        Settings::read(get).err().unwrap_or_default()
    }

    /// The secrets that these variables make necessary.
    pub(super) fn needed_secrets(&self) -> Vec<Setting> {
        let settings = self.problems().into_iter().map(|problem| problem.setting);
        settings.filter(|setting| is_secret(*setting)).collect()
    }

    /// How the database is looked up: by its id or else by its name.
    pub(crate) fn database(&self) -> Option<&str> {
        let entry = self.bound(BindingKind::Database, DATABASE_BINDING)?;
        text(entry, "database_id").or_else(|| text(entry, "database_name"))
    }

    /// The directory of the database's migrations.
    pub(crate) fn migrations_dir(&self) -> &str {
        self.bound(BindingKind::Database, DATABASE_BINDING)
            .and_then(|entry| text(entry, "migrations_dir"))
            .unwrap_or("migrations")
    }

    /// The bucket of the backups.
    pub(crate) fn bucket(&self) -> Option<&str> {
        text(self.bound(BindingKind::Bucket, BUCKET_BINDING)?, "bucket_name")
    }

    /// Every queue that is sent to, read from, or takes what could not be delivered.
    pub(super) fn queues(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (list, key) in [
            ("queues.producers", "queue"),
            ("queues.consumers", "queue"),
            ("queues.consumers", "dead_letter_queue"),
        ] {
            names.extend(
                self.list(list)
                    .filter_map(|entry| text(entry, key))
                    .map(str::to_owned),
            );
        }
        names
    }

    /// Queues that are read from, or take what could not be delivered, and that no binding sends to: wrangler makes those
    /// of bindings by itself, and refuses a deployment that lacks another.
    pub(crate) fn queues_without_binding(&self) -> Vec<String> {
        let bound: BTreeSet<_> = self
            .list("queues.producers")
            .filter_map(|entry| text(entry, "queue"))
            .collect();
        let mut queues = self.queues();
        queues.retain(|name| !bound.contains(name.as_str()));
        queues.into_iter().collect()
    }

    /// The container: its name as wrangler makes it, and how many may run.
    pub(super) fn container(&self) -> Option<(String, i64)> {
        let entry = self.list("containers").next()?;
        let given = text(entry, "name").map(str::to_owned);
        let default = || Some(format!("{}-{}", self.worker()?, text(entry, "class_name")?).to_lowercase());
        let instances = entry.get("max_instances").and_then(Value::as_integer);
        Some((given.or_else(default)?, instances.unwrap_or_default()))
    }

    pub(super) fn bound(&self, kind: BindingKind, name: &str) -> Option<&Value> {
        let (list, key) = kind.place();
        self.list(list).find(|entry| text(entry, key) == Some(name))
    }

    /// The entries of a list; the list of a table is named with it, `table.list`. A table by itself is a list of one.
    pub(super) fn list<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let found = match path.split_once('.') {
            Some((table, list)) => self.table.get(table).and_then(|inner| inner.get(list)),
            None => self.table.get(path),
        };
        let (list, one) = match found {
            Some(Value::Array(list)) => (list.as_slice(), None),
            table => (&[][..], table.filter(|value| value.is_table())),
        };
        list.iter().chain(one)
    }
}

pub(super) fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// Whether a setting is given by `wrangler secret put`.
pub(super) fn is_secret(setting: Setting) -> bool {
    setting.how.contains("wrangler secret put")
}

/// How a setting is set, with the wrangler that is pinned.
pub(super) fn how(setting: Setting) -> String {
    setting
        .how
        .replace("wrangler secret", "cargo xtask wrangler secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_those_wrangler_toml_names() {
        let text = "[[queues.producers]]\nqueue = \"jobs\"\nbinding = \"JOBS\"\n[[queues.consumers]]\nqueue = \"jobs\"\ndead_letter_queue = \"lost\"\n";
        let configuration = Configuration::parse(text).unwrap();
        assert_eq!(Vec::from_iter(configuration.queues()), ["jobs", "lost"]);
        assert_eq!(configuration.queues_without_binding(), ["lost"]);
    }
}
