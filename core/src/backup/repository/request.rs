//! What a request to a repository wants, by its method, path and query alone.

use super::object::{Name, ObjectKind};
use crate::user_id::UserId;
use crate::wire::run::REPOSITORY_PREFIX;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryOperation {
    /// Make the repository. There is nothing to do for it in a bucket.
    Create,
    /// A new token for the one that is sent, which still holds. Ours, not the protocol's.
    Renew,
    /// All objects of a kind.
    List(ObjectKind),
    /// Is it there, and how long is it?
    Stat(Name),
    /// Its bytes, or a range of them.
    Read(Name),
    /// Add it.
    Add(Name),
    /// Remove it.
    Delete(Name),
}

/// A request that wants nothing there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnOperation {
    /// A repository has nothing of that name.
    NoSuchName,
    /// It has, for other methods.
    WrongMethod {
        /// For the `Allow` header.
        allow: &'static str,
    },
}

const OBJECT_METHODS: &str = "HEAD, GET, POST, DELETE";

/// The user whose repository a path is in, and the rest of the path; `None` when it is in none.
pub fn split(path: &str) -> Option<(UserId, &str)> {
    let (user, rest) = path.strip_prefix(REPOSITORY_PREFIX)?.split_once('/')?;
    Some((user.parse().ok()?, rest))
}

/// Reads a request. `rest` is what follows the user in the path ([`split`]).
///
/// # Errors
/// When there is nothing of that name, or not for that method. Names are compared as they stand: a percent
/// sign or a dot is no part of any.
pub fn read(method: &str, rest: &str, query: Option<&str>) -> Result<RepositoryOperation, NotAnOperation> {
    let only = |allow: &'static str, operation: RepositoryOperation| {
        if method == allow {
            Ok(operation)
        } else {
            Err(NotAnOperation::WrongMethod { allow })
        }
    };
    match rest.split_once('/') {
        None if rest.is_empty() && query == Some("create=true") => only("POST", RepositoryOperation::Create),
        None if rest == "token" => only("POST", RepositoryOperation::Renew),
        None if rest == "config" => of_object(method, Name::Config),
        None => Err(NotAnOperation::NoSuchName),
        Some((kind, id)) => {
            let kind = ObjectKind::parse(kind).ok_or(NotAnOperation::NoSuchName)?;
            if id.is_empty() {
                return only("GET", RepositoryOperation::List(kind));
            }
            let id = id.parse().map_err(|_| NotAnOperation::NoSuchName)?;
            of_object(method, Name::Object(kind, id))
        }
    }
}

fn of_object(method: &str, name: Name) -> Result<RepositoryOperation, NotAnOperation> {
    match method {
        "HEAD" => Ok(RepositoryOperation::Stat(name)),
        "GET" => Ok(RepositoryOperation::Read(name)),
        "POST" => Ok(RepositoryOperation::Add(name)),
        "DELETE" => Ok(RepositoryOperation::Delete(name)),
        _ => Err(NotAnOperation::WrongMethod {
            allow: OBJECT_METHODS,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USER: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
    const ID: &str = "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8";

    #[test]
    fn every_case_gives_its_expected_result() {
        let snapshot = Name::Object(ObjectKind::Snapshots, ID.parse().unwrap());
        let path = format!("snapshots/{ID}");
        let wrong = |allow| Err(NotAnOperation::WrongMethod { allow });
        let nothing = Err(NotAnOperation::NoSuchName);
        let two_digits = format!("data/0e/{ID}");
        let upper = format!("snapshots/{}", ID.to_uppercase());
        let dotted = format!("snapshots/{ID}/");
        let locks = format!("snapshots/../locks/{ID}");
        let coded = format!("snapshots%2f{ID}");
        let twice = format!("snapshots//{ID}");
        let parent = format!("parents/{ID}");
        for (method, rest, query, expected) in [
            ("POST", "", Some("create=true"), Ok(RepositoryOperation::Create)),
            ("GET", "", Some("create=true"), wrong("POST")),
            ("POST", "", Some("create=false"), nothing),
            ("POST", "", None, nothing),
            ("POST", "token", None, Ok(RepositoryOperation::Renew)),
            ("GET", "token", None, wrong("POST")),
            (
                "HEAD",
                "config",
                None,
                Ok(RepositoryOperation::Stat(Name::Config)),
            ),
            ("GET", "config", None, Ok(RepositoryOperation::Read(Name::Config))),
            ("POST", "config", None, Ok(RepositoryOperation::Add(Name::Config))),
            (
                "DELETE",
                "config",
                None,
                Ok(RepositoryOperation::Delete(Name::Config)),
            ),
            ("PUT", "config", None, wrong(OBJECT_METHODS)),
            ("GET", "config/", None, nothing),
            (
                "GET",
                "data/",
                None,
                Ok(RepositoryOperation::List(ObjectKind::Data)),
            ),
            ("POST", "data/", None, wrong("GET")),
            ("GET", "data", None, nothing),
            ("GET", &path, None, Ok(RepositoryOperation::Read(snapshot))),
            ("HEAD", &path, None, Ok(RepositoryOperation::Stat(snapshot))),
            ("POST", &path, None, Ok(RepositoryOperation::Add(snapshot))),
            ("DELETE", &path, None, Ok(RepositoryOperation::Delete(snapshot))),
            ("PATCH", &path, None, wrong(OBJECT_METHODS)),
            ("GET", &two_digits, None, nothing),
            ("GET", &upper, None, nothing),
            ("GET", &dotted, None, nothing),
            ("GET", &locks, None, nothing),
            ("GET", &coded, None, nothing),
            ("GET", &twice, None, nothing),
            ("GET", &parent, None, nothing),
            ("GET", "", None, nothing),
        ] {
            assert_eq!(read(method, rest, query), expected, "{method} {rest} {query:?}");
        }
    }

    #[test]
    fn a_path_names_at_most_one_user() {
        let user = USER.parse().unwrap();
        assert_eq!(split(&format!("/_repo/{USER}/")), Some((user, "")));
        assert_eq!(split(&format!("/_repo/{USER}/keys/x")), Some((user, "keys/x")));
        for path in [
            format!("/_repo/{USER}"),
            format!("/_repo/{}/config", USER.to_uppercase()),
            format!("/_repo//{USER}/config"),
            format!("/_REPO/{USER}/config"),
            format!("/x/_repo/{USER}/config"),
            "/_repo/undefined/config".into(),
            "/_repo/".into(),
            "/".into(),
        ] {
            assert_eq!(split(&path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_request_is_parsed_without_a_panic(method in ".{0,8}", rest in ".{0,90}", query in ".{0,20}") {
            let _wish = read(&method, &rest, Some(&query));
            let _user = split(&rest);
        }

        /// Most of them name an object, with something odd before or behind the name in half of them.
        #[test]
        fn no_path_escapes_its_repository(odd in "(\\.\\./|%2e|/|\\.)?", kind in prop::sample::select(ObjectKind::ALL.to_vec()), id in "[0-9a-f]{64}", end in "(/|/\\.\\.|%00|\\.)?") {
            let user: UserId = USER.parse().unwrap();
            let kind = kind.as_str();
            for (rest, is_plain) in [
                (format!("{odd}{kind}/{id}{end}"), odd.is_empty() && end.is_empty()),
                (format!("{kind}/{odd}{id}{end}"), odd.is_empty() && end.is_empty()),
                (format!("{odd}config{end}"), odd.is_empty() && end.is_empty()),
            ] {
                match read("GET", &rest, None) {
                    Ok(RepositoryOperation::Read(name)) => {
                        let key = name.key(user);
                        prop_assert!(is_plain, "{}", rest);
                        prop_assert!(key.starts_with(&super::super::object::repository_prefix(user)));
                        prop_assert!(key.ends_with(rest.rsplit('/').next().unwrap()), "{}", key);
                        prop_assert!(!key.contains(".."));
                    }
                    other => prop_assert!(!is_plain, "{} is {:?}", rest, other),
                }
            }
        }
    }
}
