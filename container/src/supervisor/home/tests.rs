//! Links, sizes and owners in a bot's state directory.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

fn state() -> (tempfile::TempDir, StateDirectory) {
    let temp = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(&temp.path().join("home"), None).unwrap();
    (temp, state)
}

#[test]
fn missing_directories_are_created_with_owner_only_access() {
    let (temp, state) = state();
    assert_eq!(state.read("a.json").unwrap(), None);
    state.replace("a.json", "{}").unwrap();
    state.replace("a.json", "{\"b\":1}").unwrap();
    assert_eq!(state.read("a.json").unwrap().unwrap(), "{\"b\":1}");
    let path = temp.path().join("home/.openclaw");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("a.json"))), (0o700, 0o600));
    assert_eq!(
        std::fs::read_dir(path).unwrap().count(),
        1,
        "nothing else is left"
    );
}

#[test]
fn symbolic_links_are_not_followed() {
    let (temp, state) = state();
    let outside = temp.path().join("outside");
    std::fs::write(&outside, "root's").unwrap();
    let inside = temp.path().join("home/.openclaw");
    symlink(&outside, inside.join("a.json")).unwrap();
    symlink(&outside, inside.join("a.json.new")).unwrap();
    assert!(
        state
            .read("a.json")
            .unwrap_err()
            .to_string()
            .contains("is a link")
    );
    state.replace("a.json", "ours").unwrap();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "root's");
    assert_eq!(state.read("a.json").unwrap().unwrap(), "ours");

    let elsewhere = temp.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::create_dir(temp.path().join("other")).unwrap();
    symlink(&elsewhere, temp.path().join("other/.openclaw")).unwrap();
    let error = StateDirectory::open(&temp.path().join("other"), None)
        .err()
        .unwrap();
    assert!(error.to_string().contains("is not a directory"), "{error}");
}

#[test]
fn a_file_change_is_detected_without_reading_the_file() {
    let (temp, state) = state();
    assert_eq!(state.fingerprint("a.json"), None);
    state.replace("a.json", "1").unwrap();
    let first = state.fingerprint("a.json");
    assert!(first.is_some());
    assert_eq!(state.fingerprint("a.json"), first);
    std::fs::write(temp.path().join("home/.openclaw/a.json"), "12").unwrap();
    let second = state.fingerprint("a.json");
    assert_ne!(second, first);
    state.replace("a.json", "12").unwrap();
    assert_ne!(state.fingerprint("a.json"), second);
}

#[test]
fn a_file_above_the_size_limit_is_not_read() {
    let (temp, state) = state();
    let inside = temp.path().join("home/.openclaw");
    std::fs::create_dir(inside.join("directory")).unwrap();
    assert!(
        state
            .read("directory")
            .unwrap_err()
            .to_string()
            .contains("is not a file")
    );
    let large = File::create(inside.join("large")).unwrap();
    large.set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(state.read("large").unwrap_err().to_string().contains("larger"));
}

#[test]
fn a_link_within_the_home_is_followed_once() {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("home");
    std::fs::create_dir_all(home.join("dotfiles/openclaw")).unwrap();
    std::fs::write(home.join("dotfiles/config"), "theirs").unwrap();
    for (target, config) in [
        (PathBuf::from("dotfiles/openclaw"), PathBuf::from("../config")),
        (home.join("dotfiles/openclaw"), home.join("dotfiles/config")),
    ] {
        symlink(&target, home.join(".openclaw")).unwrap();
        symlink(&config, home.join("dotfiles/openclaw/a.json")).unwrap();
        let (state, done) = StateDirectory::open_without_links(&home, None, "a.json").unwrap();
        assert!(done[0].ends_with("was a link, and is now the file"), "{done:?}");
        assert_eq!(state.read("a.json").unwrap().unwrap(), "theirs");
        state.replace("a.json", "ours").unwrap();
        assert_eq!(
            std::fs::read_to_string(home.join(".openclaw/a.json")).unwrap(),
            "ours"
        );
        assert_eq!(
            std::fs::read_to_string(home.join("dotfiles/config")).unwrap(),
            "theirs"
        );
        std::fs::remove_file(home.join(".openclaw")).unwrap();
        std::fs::remove_file(home.join("dotfiles/openclaw/a.json")).unwrap();
    }
}

#[test]
fn a_link_that_leads_nowhere_in_the_home_is_put_aside() {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("home");
    let outside = temp.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("a.json"), "root's").unwrap();
    std::fs::create_dir(&home).unwrap();
    symlink("second", home.join("first")).unwrap();
    symlink("third", home.join("second")).unwrap();
    std::fs::create_dir(home.join("third")).unwrap();
    for target in [
        &outside,
        Path::new("missing"),
        Path::new("../outside"),
        Path::new("first"),
        Path::new(".openclaw"),
    ] {
        symlink(target, home.join(".openclaw")).unwrap();
        let (state, done) = StateDirectory::open_without_links(&home, None, "a.json").unwrap();
        assert!(done[0].contains("was renamed"), "{done:?}");
        assert_eq!(state.read("a.json").unwrap(), None);
        let inside = home.join(".openclaw");
        for config in [
            outside.join("a.json"),
            "missing".into(),
            "../../outside/a.json".into(),
            "/proc/self/environ".into(),
            "..".into(),
        ] {
            symlink(config, inside.join("a.json")).unwrap();
            let (state, done) = StateDirectory::open_without_links(&home, None, "a.json").unwrap();
            assert!(done[0].contains("was renamed"), "{done:?}");
            assert_eq!(state.read("a.json").unwrap(), None);
            assert!(is_link(rustix::fs::CWD, &inside.join("a.json.link")));
        }
        assert_eq!(std::fs::read_link(home.join(".openclaw.link")).unwrap(), target);
        std::fs::remove_dir_all(&inside).unwrap();
    }
    assert_eq!(std::fs::read_to_string(outside.join("a.json")).unwrap(), "root's");
}

#[test]
fn an_included_file_is_read_only_within_the_home() {
    let (temp, state) = state();
    let home = temp.path().join("home");
    std::fs::write(home.join(".openclaw/b.json"), "b").unwrap();
    std::fs::write(home.join("c.json"), "c").unwrap();
    std::fs::write(temp.path().join("outside"), "root's").unwrap();
    symlink("../c.json", home.join(".openclaw/link")).unwrap();
    symlink("../../outside", home.join(".openclaw/away")).unwrap();
    let absolute = home.join("c.json").display().to_string();
    for (name, text) in [
        ("b.json", Some("b")),
        ("./b.json", Some("b")),
        ("../c.json", Some("c")),
        (&absolute, Some("c")),
        ("link", Some("c")),
        ("away", None),
        ("../../outside", None),
        ("/proc/self/environ", None),
        ("..", None),
    ] {
        assert_eq!(state.read_named(name).as_deref(), text, "{name}");
    }
}
