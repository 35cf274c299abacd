//! The way down into a home that others change meanwhile: each step opens one name and follows no link.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, fstat, openat};

use crate::beneath;

/// So many directories of the way stay open; the others are opened again on the way up. Far fewer than the 1,024 files a
/// process may have open where nobody said more.
const MAX_OPEN: usize = 64;

/// A directory on the way.
struct Step {
    name: OsString,
    /// Which one it is, to be known again.
    identity: (u64, u64),
    directory: Option<Arc<OwnedFd>>,
}

/// Where one is, and how one came there.
pub(crate) struct Descent {
    root: Arc<OwnedFd>,
    steps: Vec<Step>,
}

impl Descent {
    /// Begins in a directory.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn begin(directory: &Path) -> io::Result<Self> {
        let root = beneath::root(directory)?;
        Ok(Self {
            root: Arc::new(root),
            steps: Vec::new(),
        })
    }

    /// The directory one is in.
    pub(crate) fn here(&self) -> Arc<OwnedFd> {
        let here = self.steps.last().and_then(|step| step.directory.as_ref());
        Arc::clone(here.unwrap_or(&self.root))
    }

    /// Its path from where it began.
    pub(crate) fn path(&self) -> PathBuf {
        self.steps.iter().map(|step| &step.name).collect()
    }

    /// How many steps down it is.
    pub(crate) fn depth(&self) -> usize {
        self.steps.len()
    }

    /// A step down.
    ///
    /// # Errors
    /// When there is no directory of that name, or it cannot be opened.
    pub(crate) fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let directory = beneath::directory(&*self.here(), name)?;
        let identity = identity(&directory)?;
        let far = self.steps.len().checked_sub(MAX_OPEN);
        if let Some(step) = far.and_then(|far| self.steps.get_mut(far)) {
            step.directory = None;
        }
        self.steps.push(Step {
            name: name.to_owned(),
            identity,
            directory: Some(Arc::new(directory)),
        });
        Ok(())
    }

    /// A step up.
    ///
    /// # Errors
    /// When the directory one came from is somewhere else by now. One is there all the same, and can only go further up.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        let left = self.steps.pop();
        let Some(step) = self.steps.last_mut().filter(|step| step.directory.is_none()) else {
            return Ok(());
        };
        let above = left.and_then(|left| left.directory).and_then(|from| {
            // Wherever that leads: it is the one we came from, or not gone on from.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let above = openat(&*from, "..", flags, Mode::empty()).ok()?;
            (identity(&above).ok()? == step.identity).then_some(above)
        });
        let directory = match above {
            Some(above) => above,
            None => self.again()?,
        };
        if let Some(step) = self.steps.last_mut() {
            step.directory = Some(Arc::new(directory));
        }
        Ok(())
    }

    /// Goes the whole way again, by names.
    fn again(&self) -> io::Result<OwnedFd> {
        let mut at = Arc::clone(&self.root);
        for step in &self.steps {
            at = Arc::new(beneath::directory(&*at, &step.name)?);
        }
        let known = self.steps.last().map(|step| step.identity);
        if known != Some(identity(&at)?) {
            return Err(io::Error::other("another directory is in its place"));
        }
        Arc::try_unwrap(at).map_err(|_| io::Error::other("it is the root"))
    }
}

fn identity(directory: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::worker::place::names;
    use rustix::fs::{mkdirat, renameat};

    const LEVELS: usize = 3 * MAX_OPEN;

    /// A way down that is longer than what stays open, with a file in each directory.
    fn down(root: &Path) -> Descent {
        let mut descent = Descent::begin(root).unwrap();
        for level in 0..LEVELS {
            mkdirat(&*descent.here(), "d", Mode::RWXU).unwrap();
            mkdirat(&*descent.here(), format!("level-{level}"), Mode::RWXU).unwrap();
            descent.enter(OsStr::new("d")).unwrap();
        }
        assert_eq!((descent.depth(), descent.path().iter().count()), (LEVELS, LEVELS));
        descent
    }

    #[test]
    fn the_way_up_leads_to_where_it_came_from() {
        let root = tempfile::tempdir().unwrap();
        let mut descent = down(root.path());
        for level in (0..LEVELS).rev() {
            descent.leave().unwrap();
            let here = names(&descent.here()).unwrap();
            assert!(here.contains(&format!("level-{level}").into()), "{level}");
        }
    }

    #[test]
    fn a_directory_that_was_moved_is_found_by_its_name_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let mut descent = down(root.path());
        // The innermost goes somewhere else, with a way up that leads elsewhere too.
        let elsewhere = tempfile::tempdir().unwrap();
        let to = beneath::root(elsewhere.path()).unwrap();
        let deep = LEVELS - MAX_OPEN - 10;
        while descent.depth() > deep + 1 {
            descent.leave().unwrap();
        }
        let mut holder = Descent::begin(root.path()).unwrap();
        for _ in 0..deep {
            holder.enter(OsStr::new("d")).unwrap();
        }
        renameat(&*holder.here(), "d", &to, "moved").unwrap();
        descent.leave().unwrap();
        let here = names(&descent.here()).unwrap();
        assert!(here.contains(&format!("level-{deep}").into()), "{here:?}");
    }
}
