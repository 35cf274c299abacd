//! What a watch notices, and how much of it at a time.

use super::*;

async fn changes(changes: &mut mpsc::Receiver<()>) -> bool {
    tokio::time::timeout(Duration::from_secs(2), changes.recv())
        .await
        .is_ok()
}

#[test]
fn changes_are_detected_at_any_depth_and_excluded_paths_are_not() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_owned();
        std::fs::create_dir_all(home.join(".openclaw/cache")).unwrap();
        let (sender, mut seen) = mpsc::channel(1);
        let _watch = begun(&home, sender, &mut seen).await;
        std::fs::write(home.join(".openclaw/cache/x"), "1").unwrap();
        std::fs::write(home.join("db-shm"), "1").unwrap();
        assert!(!changes(&mut seen).await);
        std::fs::create_dir_all(home.join("new/deep")).unwrap();
        assert!(changes(&mut seen).await);
        std::fs::write(home.join("new/deep/file"), "1").unwrap();
        assert!(changes(&mut seen).await);
    });
}

#[test]
fn deletions_are_counted_from_one_look_to_another() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let home = directory.path().to_owned();
        let (sender, mut seen) = mpsc::channel(1);
        let watch = begun(&home, sender, &mut seen).await;
        assert!(
            !watch.totals().since(&Totals::default()).is_complete,
            "what was before, nobody saw"
        );
        let before = watch.totals();
        let deletions = || watch.totals().since(&before);
        let none = Deletions {
            is_complete: true,
            entries: 0,
            directory_moved_out: false,
        };
        for name in ["one", "two"] {
            std::fs::create_dir(home.join(name)).unwrap();
            assert!(changes(&mut seen).await);
            std::fs::write(home.join(name).join("file"), "1").unwrap();
        }
        // Within the home nothing is lost by a move.
        std::fs::rename(home.join("one/file"), home.join("two/moved")).unwrap();
        std::fs::rename(home.join("one"), home.join("three")).unwrap();
        assert_eq!(deletions(), none);
        std::fs::remove_dir_all(home.join("three")).unwrap();
        std::fs::remove_file(home.join("two/file")).unwrap();
        assert_eq!(
            deletions(),
            Deletions {
                entries: 2,
                ..none.clone()
            }
        );
        std::fs::rename(home.join("two"), elsewhere.path().join("two")).unwrap();
        let moved = Deletions {
            entries: 3,
            directory_moved_out: true,
            ..none
        };
        assert_eq!(deletions(), moved);
    });
}

#[test]
fn a_look_at_the_events_ends_although_more_come() {
    let directory = tempfile::tempdir().unwrap();
    let seen = Mutex::new(Watched::new(directory.path().to_owned()));
    let _ready = begin(&seen).unwrap();
    let before = locked(&seen).totals;
    for number in 0..MAX_EVENTS + BUFFER / 8 {
        std::fs::File::create(directory.path().join(number.to_string())).unwrap();
    }
    let first = locked(&seen).read();
    assert!(first.changed && !first.is_all);
    let after = locked(&seen).totals;
    assert!(!after.since(&before).is_complete, "who knows what is in the rest");
    let second = locked(&seen).read();
    assert!(second.changed && second.is_all);
    assert!(locked(&seen).totals.since(&after).is_complete);
}

#[test]
fn a_tree_that_is_moved_in_is_not_walked_by_whoever_looks() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seen = Mutex::new(Watched::new(directory.path().to_owned()));
    let _ready = begin(&seen).unwrap();
    std::fs::create_dir_all(elsewhere.path().join("a/b/c")).unwrap();
    std::fs::rename(elsewhere.path().join("a"), directory.path().join("a")).unwrap();
    assert!(locked(&seen).read().changed);
    let new = std::mem::take(&mut locked(&seen).new);
    assert_eq!((new.len(), locked(&seen).directories.len()), (1, 1));
    assert!(new.into_iter().all(|path| add(&seen, path)));
    assert_eq!(locked(&seen).directories.len(), 4);
}

#[test]
fn what_somebody_else_has_looked_at_is_watched_all_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_owned();
        let (sender, mut seen) = mpsc::channel(1);
        let watch = begun(&home, sender, &mut seen).await;
        std::fs::create_dir_all(home.join("new/deep")).unwrap();
        watch.totals();
        assert!(changes(&mut seen).await);
        let is_watched = || {
            let seen = locked(&watch.seen);
            seen.directories
                .values()
                .any(|path| path == Path::new("new/deep"))
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(5);
        while !is_watched() {
            assert!(tokio::time::Instant::now() < until, "nobody watches it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// A watch that has begun.
async fn begun(home: &Path, sender: mpsc::Sender<()>, seen: &mut mpsc::Receiver<()>) -> Watch {
    let watch = Watch::begin(home.to_owned(), sender);
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    // The first change that is noticed says that it watches.
    loop {
        std::fs::write(home.join("a"), "1").unwrap();
        if tokio::time::timeout(MIN_SCAN_INTERVAL, seen.recv()).await.is_ok() {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "nothing is noticed");
    }
    while changes(seen).await {}
    watch
}
