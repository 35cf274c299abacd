//! The list of a kind's objects, in both versions of the protocol.

use serde::Serialize;

use super::object::ObjectId;

/// Which list the client understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Names only.
    V1,
    /// Names and sizes.
    V2,
}

impl Version {
    /// What the client says in `Accept`; the first version unless it asks for the second by name.
    pub fn accepted(accept: Option<&str>) -> Self {
        let wanted = Self::V2.content_type();
        if accept.is_some_and(|accept| accept.split(',').any(|kind| kind.trim() == wanted)) {
            Self::V2
        } else {
            Self::V1
        }
    }

    /// The answer's `Content-Type`, by which the client tells which one it got.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/vnd.x.restic.rest.v1",
            Self::V2 => "application/vnd.x.restic.rest.v2",
        }
    }
}

/// One object in a list of version 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedObject {
    /// The last part of its key: what restic calls it.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

impl ListedObject {
    /// Of this object.
    pub fn new(id: ObjectId, size: u64) -> Self {
        Self {
            name: id.to_string(),
            size,
        }
    }
}

/// The list as JSON.
///
/// # Errors
/// None with these types; serde's signature has one.
pub fn to_json(version: Version, entries: &[ListedObject]) -> Result<Vec<u8>, serde_json::Error> {
    match version {
        Version::V1 => {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            serde_json::to_vec(&names)
        }
        Version::V2 => serde_json::to_vec(entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_listing_versions_are_serialized() {
        let id = "ab".repeat(32);
        let entries = [ListedObject::new(id.parse().unwrap(), 5)];
        let text = |version, entries| String::from_utf8(to_json(version, entries).unwrap()).unwrap();
        assert_eq!(text(Version::V1, &entries), format!(r#"["{id}"]"#));
        assert_eq!(
            text(Version::V2, &entries),
            format!(r#"[{{"name":"{id}","size":5}}]"#)
        );
        // `null` would be read as an empty list by some clients and as an error by others.
        assert_eq!(text(Version::V1, &[]), "[]");
        assert_eq!(text(Version::V2, &[]), "[]");
    }

    #[test]
    fn the_second_listing_version_requires_an_accept_header() {
        let v2 = Version::V2.content_type();
        assert_eq!(Version::accepted(Some(v2)), Version::V2);
        assert_eq!(Version::accepted(Some(&format!("text/html, {v2}"))), Version::V2);
        for other in [None, Some("*/*"), Some(Version::V1.content_type()), Some("")] {
            assert_eq!(Version::accepted(other), Version::V1, "{other:?}");
        }
    }
}
