//! A control group for the bot's processes, where the kernel has version 2 and lets us make one. Whatever a process
//! of it starts is in it, and one write ends all of them, those that are being started among them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where version 2 is mounted: as the only one, or beside version 1.
const MOUNTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];
/// The file that ends all (Linux 5.14).
const KILL: &str = "cgroup.kill";

/// The file that makes all stand still (Linux 5.2), and the one that says whether they do.
const FREEZE: &str = "cgroup.freeze";
const EVENTS: &str = "cgroup.events";
/// The file with the number of each process in it.
const MEMBERS: &str = "cgroup.procs";

/// The group; removed with this.
pub(crate) struct TenantGroup {
    path: PathBuf,
}

impl TenantGroup {
    /// Makes one below our own. None where that cannot be done: in most containers it is not to be written to.
    pub(super) fn make(root: &Path) -> Option<Self> {
        let ours = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let ours = ours.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let mounts = MOUNTS.iter().map(|mount| root.join(mount).join(ours));
        let parent = mounts
            .into_iter()
            .find(|path| path.join("cgroup.procs").exists())?;
        // One for each supervisor: there may be several on a machine.
        let path = parent.join(format!("moltbot-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return None,
        }
        let group = Self { path };
        group.path.join(KILL).exists().then_some(group)
    }

    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends everything in it.
    pub(super) fn kill(&self) -> io::Result<()> {
        fs::write(self.path.join(KILL), "1")
    }

    /// Makes everything in it stand still, in a moment, or lets it go on.
    pub(super) fn freeze(&self, is_frozen: bool) -> io::Result<()> {
        fs::write(self.path.join(FREEZE), if is_frozen { "1" } else { "0" })
    }

    /// Whether all of them stand still.
    pub(super) fn is_frozen(&self) -> bool {
        let events = fs::read_to_string(self.path.join(EVENTS)).unwrap_or_default();
        events.lines().any(|line| line == "frozen 1")
    }

    /// What is in it.
    pub(super) fn members(&self) -> BTreeSet<u32> {
        let members = fs::read_to_string(self.path.join(MEMBERS)).unwrap_or_default();
        members.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for TenantGroup {
    fn drop(&mut self) {
        // One that still has a process in it goes with the container.
        let _ = fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cgroup: &str, files: &[&str]) -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        for (path, text) in files
            .iter()
            .map(|path| (*path, ""))
            .chain([("proc/self/cgroup", cgroup)])
        {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        temp
    }

    #[test]
    fn a_group_is_made_only_where_it_can_be_ended_as_a_whole() {
        // A file system of ours has no file that ends all in a directory that was just made.
        let own = format!("moltbot-{}", std::process::id());
        for (cgroup, files) in [
            ("0::/\n", vec!["sys/fs/cgroup/cgroup.procs"]),
            (
                "9:name=systemd:/\n0::/a/b\n",
                vec!["sys/fs/cgroup/unified/a/b/cgroup.procs"],
            ),
            ("0::/\n", vec![]),
            ("4:memory:/\n", vec!["sys/fs/cgroup/cgroup.procs"]),
        ] {
            let machine = machine(cgroup, &files);
            assert!(TenantGroup::make(machine.path()).is_none(), "{cgroup} {files:?}");
        }
        let killed = format!("sys/fs/cgroup/unified/a/b/{own}/{KILL}");
        let machine = machine(
            "9:name=systemd:/\n0::/a/b\n",
            &["sys/fs/cgroup/unified/a/b/cgroup.procs", &killed],
        );
        let group = TenantGroup::make(machine.path()).unwrap();
        assert_eq!(
            group.path(),
            machine.path().join("sys/fs/cgroup/unified/a/b").join(own)
        );
        group.kill().unwrap();
        assert_eq!(fs::read_to_string(machine.path().join(killed)).unwrap(), "1");
    }
}
