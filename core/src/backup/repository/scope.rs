//! What whoever presents a credential may do.

use serde::{Deserialize, Serialize};

use super::object::{Name, ObjectKind};
use super::request::RepositoryOperation;
use crate::user_id::UserId;
use crate::wire::run::Run;

/// How far a credential goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Read, list and add. What every run gets: it cannot take back what it or an earlier one stored.
    Append,
    /// Delete as well: for a maintenance run that prunes by policy.
    Maintain,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 2] = [Self::Append, Self::Maintain];

    /// Its name in a token and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Maintain => "maintain",
        }
    }

    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// Whether this goes so far.
    pub fn allows(self, operation: RepositoryOperation) -> bool {
        match operation {
            // A lock says who works right now; restic takes its own away when it is done.
            RepositoryOperation::Delete(Name::Object(ObjectKind::Locks, _)) => true,
            // Without its config a repository cannot be opened; nothing that prunes asks for that.
            RepositoryOperation::Delete(Name::Config) => false,
            RepositoryOperation::Delete(Name::Object(..)) => self == Self::Maintain,
            RepositoryOperation::Create
            | RepositoryOperation::Renew
            | RepositoryOperation::List(_)
            | RepositoryOperation::Stat(_)
            | RepositoryOperation::Read(_)
            | RepositoryOperation::Add(_) => true,
        }
    }
}

/// Who presented a credential that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// A run of the bot whose repository it is.
    Run(UserId, Run, Scope),
    /// The operator, in a recovery: any repository, never deleting.
    Operator,
}

impl Bearer {
    /// How far the credential goes.
    pub fn scope(self) -> Scope {
        match self {
            Self::Run(_, _, scope) => scope,
            Self::Operator => Scope::Append,
        }
    }

    /// Whether it opens this user's repository at all.
    pub fn may_enter(self, user: UserId) -> bool {
        match self {
            Self::Run(own, ..) => own == user,
            Self::Operator => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_maintenance_deletes_and_nobody_deletes_the_config() {
        let id = "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
            .parse()
            .unwrap();
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert!(!scope.allows(RepositoryOperation::Delete(Name::Config)));
            for kind in ObjectKind::ALL {
                let name = Name::Object(kind, id);
                for operation in [
                    RepositoryOperation::List(kind),
                    RepositoryOperation::Stat(name),
                    RepositoryOperation::Read(name),
                    RepositoryOperation::Add(name),
                ] {
                    assert!(scope.allows(operation), "{scope:?} {operation:?}");
                }
                let deletes = scope == Scope::Maintain || kind == ObjectKind::Locks;
                assert_eq!(
                    scope.allows(RepositoryOperation::Delete(name)),
                    deletes,
                    "{scope:?} {kind:?}"
                );
            }
            assert!(scope.allows(RepositoryOperation::Create) && scope.allows(RepositoryOperation::Renew));
        }
        assert_eq!(Scope::parse("Append"), None);
        assert_eq!(Bearer::Operator.scope(), Scope::Append);
    }

    #[test]
    fn a_run_can_access_its_own_repository_only() {
        let [alice, bob]: [UserId; 2] = [
            "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20",
            "0d3cf1f6-1c5e-4f6b-8a43-5a2f7b7f9c11",
        ]
        .map(|id| id.parse().unwrap());
        let run = Bearer::Run(alice, Run(3), Scope::Maintain);
        assert!(run.may_enter(alice));
        assert!(!run.may_enter(bob));
        assert!(Bearer::Operator.may_enter(bob));
    }
}
