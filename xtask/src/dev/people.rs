//! The named people who can sign in at the local identity provider.

use serde_json::{Value, json};

/// A person who exists on every developer's machine, always under the same id.
#[derive(Debug)]
pub(crate) struct Person {
    /// What the person is called on the command line.
    pub(crate) name: &'static str,
    id: &'static str,
    admin: bool,
}

/// Everyone there is.
pub(crate) const PEOPLE: [Person; 6] = [
    Person {
        name: "dev-1",
        id: "de000000-0000-4000-8000-000000000001",
        admin: false,
    },
    Person {
        name: "dev-2",
        id: "de000000-0000-4000-8000-000000000002",
        admin: false,
    },
    Person {
        name: "dev-3",
        id: "de000000-0000-4000-8000-000000000003",
        admin: false,
    },
    Person {
        name: "dev-4",
        id: "de000000-0000-4000-8000-000000000004",
        admin: false,
    },
    Person {
        name: "dev-5",
        id: "de000000-0000-4000-8000-000000000005",
        admin: false,
    },
    Person {
        name: "dev-admin",
        id: "ad000000-0000-4000-8000-000000000001",
        admin: true,
    },
];

impl Person {
    /// The person of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        PEOPLE.iter().find(|person| person.name == name)
    }

    /// The person with that email address; addresses compare without regard to case, as the real one does.
    pub(crate) fn with_email(email: &str) -> Option<&'static Self> {
        PEOPLE
            .iter()
            .find(|person| person.email().eq_ignore_ascii_case(email))
    }

    /// The person with that id.
    pub(crate) fn with_id(id: &str) -> Option<&'static Self> {
        PEOPLE.iter().find(|person| person.id == id)
    }

    /// The person's UUID.
    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    /// The person's email address; `.test` is reserved, so no mail can leave by accident.
    pub(crate) fn email(&self) -> String {
        format!("{}@moltworker.test", self.name)
    }

    /// The person's password: no secret, it only opens what runs on this machine.
    pub(crate) fn password(&self) -> String {
        format!("{}-password", self.name)
    }

    /// Whether the project says so of them.
    pub(crate) fn is_admin(&self) -> bool {
        self.admin
    }

    /// How to sign in as this person, for a program.
    pub(crate) fn describe(&self) -> Value {
        json!({ "name": self.name, "id": self.id, "email": self.email(), "password": self.password() })
    }

    /// What only the project can set about a person; the role of an admin is here.
    pub(crate) fn app_metadata(&self) -> Value {
        let mut metadata = json!({ "provider": "email", "providers": ["email"] });
        if self.admin
            && let Some(fields) = metadata.as_object_mut()
        {
            fields.insert("role".into(), "admin".into());
        }
        metadata
    }

    /// What a person may set about themselves; nothing may be decided by it.
    pub(crate) fn user_metadata(&self) -> Value {
        json!({ "email": self.email(), "email_verified": true, "phone_verified": false, "sub": self.id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moltworker_core::user_id::UserId;

    #[test]
    fn every_person_has_a_unique_valid_user_id() {
        let mut ids: Vec<UserId> = PEOPLE.iter().map(|person| person.id().parse().unwrap()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), PEOPLE.len());
    }

    #[test]
    fn only_the_admin_is_admin() {
        let admins: Vec<_> = PEOPLE
            .iter()
            .filter(|person| person.app_metadata()["role"] == "admin")
            .map(|p| p.name)
            .collect();
        assert_eq!(admins, ["dev-admin"]);
    }
}
