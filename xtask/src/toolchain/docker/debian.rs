//! The Debian below the stand-in images: made by debootstrap from the mirror this machine itself uses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::super::apt;
use super::super::cache::{Cache, fingerprint, require_space};
use super::super::command::{capture, command, is_root, logged, on_path};
use super::super::report::Say;
use super::super::versions;
use super::stand_in::{LABEL, label, pipe};

const IMAGE: &str = "moltworker/stand-in-debian:bookworm";
/// Where Debian keeps all certificates in one file, outside as inside.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where certificates are put that the machine's owner added.
const ADDED: &str = "/usr/local/share/ca-certificates";

/// Names what the base is made from; it changes with the machine's certificates.
pub(super) fn key() -> String {
    let recipe = versions::STAND_IN_RECIPE.to_le_bytes();
    let certificates = fs::read(BUNDLE).unwrap_or_default();
    fingerprint([&recipe[..], versions::DEBIAN.as_bytes(), &certificates])
}

/// The tag of the base image, which is built if it is missing or out of date.
pub(super) fn image(cache: &Cache, say: &Say<'_>) -> Result<&'static str> {
    let key = key();
    if label(IMAGE).is_some_and(|made_from| made_from == key) {
        return Ok(IMAGE);
    }
    if !is_root() {
        bail!(
            "base images cannot be pulled, and making stand-ins needs root: run once as root, or where a container registry answers"
        );
    }
    if on_path("debootstrap").is_none() {
        let why = "stand-in images are made with debootstrap";
        apt::install(cache, say, why, &["debootstrap"])?;
    }
    require_space(&cache.path(""), 1500)?;
    let (archive, security) = mirrors()?;
    say.doing(format!("debootstrap {}, about half a minute", versions::DEBIAN));
    let scratch = cache.scratch()?;
    let root = scratch.path().join("root");
    logged(
        command("debootstrap")
            .args(["--variant=minbase", "--include=ca-certificates", versions::DEBIAN])
            .arg(&root)
            .arg(&archive),
        &cache.path("debootstrap.log"),
    )?;
    slim(&root, &archive, security.as_deref())?;
    trust(&root)?;
    import(cache, &root, &key)?;
    Ok(IMAGE)
}

/// Where apt, which has read every form of sources file, gets the archive and its security updates.
fn mirrors() -> Result<(String, Option<String>)> {
    let listed = capture(command("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(LABEL) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    let archive = mirror(&listed, "Debian").context(
        "this machine's apt knows no Debian mirror (is it a Debian, and was `apt-get update` run?), so base images can neither be pulled nor made",
    )?;
    Ok((archive, mirror(&listed, "Debian-Security")))
}

fn mirror(listed: &str, label: &str) -> Option<String> {
    listed.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let uri = words.next()?;
        (words.next()? == label && words.next()? == "main").then(|| uri.to_owned())
    })
}

/// What the official slim images leave out, and updates beside the release.
fn slim(root: &Path, archive: &str, security: Option<&str>) -> Result<()> {
    let mut excluded = String::new();
    for dir in ["doc", "man", "info", "locale"] {
        fs::remove_dir_all(root.join("usr/share").join(dir)).ok();
        excluded.push_str(&format!("path-exclude /usr/share/{dir}/*\n"));
    }
    fs::write(root.join("etc/dpkg/dpkg.cfg.d/slim"), excluded)?;
    fs::write(
        root.join("etc/apt/apt.conf.d/slim"),
        "APT::Install-Recommends \"false\";\nDPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb\"; };\n",
    )?;
    for dir in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        for entry in fs::read_dir(root.join(dir))?.flatten() {
            if entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
    }
    let suite = versions::DEBIAN;
    let mut sources = format!("deb {archive} {suite} main\ndeb {archive} {suite}-updates main\n");
    if let Some(security) = security {
        sources.push_str(&format!("deb {security} {suite}-security main\n"));
    }
    fs::write(root.join("etc/apt/sources.list"), sources)?;
    // As in the official images: packages installed during a build must not start services.
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A machine whose certificates are its own needs them inside as well, or nothing reaches a registry.
fn trust(root: &Path) -> Result<()> {
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    if let Ok(added) = fs::read_dir(ADDED) {
        fs::create_dir_all(inside(ADDED))?;
        for entry in added.flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), inside(ADDED).join(entry.file_name()))?;
        }
    }
    if Path::new(BUNDLE).is_file() {
        fs::copy(BUNDLE, inside(BUNDLE))?;
    }
    Ok(())
}

fn import(cache: &Cache, root: &Path, key: &str) -> Result<()> {
    let mut tar = command("tar");
    tar.args(["-c", "-C"]).arg(root).arg(".");
    let mut docker = command("docker");
    docker.arg("import");
    for change in [
        format!("LABEL {LABEL}={key}"),
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        // Node and cargo bring certificates of their own unless they are told.
        format!("ENV SSL_CERT_FILE={BUNDLE} NODE_EXTRA_CA_CERTS={BUNDLE}"),
        "CMD [\"bash\"]".to_owned(),
    ] {
        docker.args(["--change", &change]);
    }
    docker.args(["-", IMAGE]);
    pipe(tar, docker, &cache.path("stand-in.log"))
}

#[cfg(test)]
mod tests {
    use super::mirror;

    #[test]
    fn the_mirror_of_the_matching_archive_is_used() {
        let listed = "http://a.example/debian/ Debian main\nhttp://b.example/x/ Other main\nhttp://c.example/security/ Debian-Security main\n";
        assert_eq!(
            mirror(listed, "Debian").as_deref(),
            Some("http://a.example/debian/")
        );
        assert_eq!(
            mirror(listed, "Debian-Security").as_deref(),
            Some("http://c.example/security/")
        );
        assert_eq!(mirror("http://u.example/ Ubuntu main\n", "Debian"), None);
    }
}
