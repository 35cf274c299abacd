//! What rustic asks of a repository, answered by [`Remote`].

use std::sync::atomic::Ordering;

use bytes::Bytes;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use serde::Deserialize;
use ureq::http::Method;

use super::remote::{MAX_BODY, Remote, RemoteError, locked, path_of};

impl Remote {
    /// The repository's config, which is asked for once; `None` only by a 404. Its name says nothing about it; what decrypts
    /// it does.
    ///
    /// # Errors
    /// Every other answer.
    pub(super) fn config(&self) -> Result<Option<Bytes>, RemoteError> {
        let mut known = locked(&self.config);
        if known.is_none() {
            match self.read(&Method::GET, "config", None) {
                Ok(config) => *known = Some(config),
                Err(RemoteError::Status { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known.clone())
    }
}

fn rustic(error: &RemoteError) -> Box<RusticError> {
    RusticError::new(ErrorKind::Backend, error.to_string())
}

impl ReadBackend for Remote {
    fn location(&self) -> String {
        self.base.clone()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        #[derive(Deserialize)]
        struct Listed {
            name: String,
            size: u32,
        }
        if kind == FileType::Config {
            let config = self.config().map_err(|error| rustic(&error))?;
            return Ok(config.map(|_| (Id::default(), 0)).into_iter().collect());
        }
        let path = format!("{}/", kind.dirname());
        let headers = [("accept", "application/vnd.x.restic.rest.v2")];
        let listed = self.attempts(&Method::GET, &path, None, &headers, &|response, damaged| {
            let bytes = self.body(response, MAX_BODY).map_err(damaged)?;
            let listed: Vec<Listed> =
                serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
            listed
                .iter()
                .map(|entry| match entry.name.parse() {
                    Ok(id) => Ok((id, entry.size)),
                    Err(_) => Err(damaged("it lists something that is no object".to_owned())),
                })
                .collect::<Result<Vec<_>, _>>()
        });
        let listed = listed.map_err(|error| rustic(&error))?;
        if matches!(kind, FileType::Snapshot | FileType::Index) {
            // Whoever lists these reads them all.
            self.read_ahead(kind, &listed);
        }
        if kind == FileType::Snapshot {
            *locked(&self.listed) = listed.iter().map(|(id, _)| *id).collect();
        }
        Ok(listed)
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        if let Some(held) = locked(&self.held_back).get(id) {
            return Ok(held.clone());
        }
        let path = path_of(kind, id);
        if kind == FileType::Config
            && let Some(config) = self.config().map_err(|error| rustic(&error))?
        {
            return Ok(config);
        }
        self.whole(&path, id).map_err(|error| rustic(&error))
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let part = self.part(&path_of(kind, id), id, cacheable, offset, length);
        part.map_err(|error| rustic(&error))
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        path_of(kind, id)
    }
}

impl WriteBackend for Remote {
    fn create(&self) -> RusticResult<()> {
        let created = self.attempts(&Method::POST, "?create=true", Some(&[]), &[], &|_, _| Ok(()));
        created.map_err(|error| rustic(&error))
    }

    fn write_bytes(&self, kind: FileType, id: &Id, cacheable: bool, content: BytesList) -> RusticResult<()> {
        if kind == FileType::Snapshot {
            if let Some(failed) = self.failed_write() {
                return Err(RusticError::new(ErrorKind::Backend, failed));
            }
            if self.holding_back.load(Ordering::Relaxed) {
                let content = content.into_vec().concat();
                locked(&self.held_back).insert(*id, content.into());
                return Ok(());
            }
        }
        let path = path_of(kind, id);
        let content = content.into_vec().concat();
        let written = self.attempts(&Method::POST, &path, Some(&content), &[], &|_, _| Ok(()));
        if written.is_ok() && matches!(kind, FileType::Snapshot | FileType::Index | FileType::Key) {
            self.keep(id, &content);
        }
        if written.is_ok() && kind == FileType::Pack && cacheable {
            self.keep_trees(id, &content);
        }
        if kind == FileType::Snapshot && written.is_ok() {
            *locked(&self.written) = Some(*id);
        }
        written.map_err(|error| {
            locked(&self.failed).get_or_insert_with(|| error.to_string());
            rustic(&error)
        })
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let path = path_of(kind, id);
        match self.attempts(&Method::DELETE, &path, None, &[], &|_, _| Ok(())) {
            Ok(()) | Err(RemoteError::Status { status: 404, .. }) => Ok(()),
            Err(error) => Err(rustic(&error)),
        }
    }
}
