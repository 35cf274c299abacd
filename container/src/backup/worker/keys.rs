//! A repository's key files: each holds the repository's one master key, locked with a password.
//!
//! Ours, because rustic locks every key file as if its password were a person's: 128 MiB and 0.43 CPU seconds each time
//! a repository is opened, which is once for each job. A password here is 256 random bits (`src/repository/credentials.rs`),
//! and no work factor adds to that.

use aes256ctr_poly1305aes::aead::Aead;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key as CipherKey, Nonce};
use rustic_core::repofile::{KeyFile, MasterKey};
use rustic_core::{FileType, Id, ReadBackend, RusticError, WriteBackend};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

use super::remote::Remote;

/// scrypt's parameters `N`, `r` and `p` of the key files we write: the least that restic takes.
const WORK: (u32, u32, u32) = (2, 1, 1);
/// More work than this, in bytes of memory times rounds, is refused: 1 GiB is more than a container has, and 8 times what
/// restic and rustic ever ask for.
const MAX_WORK: u64 = 1024 * 1024 * 1024;
/// So many key files are looked at: one for each key the operator has had, and a few that were added by hand.
const MAX_KEY_FILES: usize = 64;
/// As long as restic's.
const SALT_BYTES: usize = 64;
/// How long the nonce before each sealed text is.
const NONCE_BYTES: usize = 16;
/// A key of the cipher: 32 bytes for AES, twice 16 for Poly1305.
const KEY_BYTES: usize = 64;

/// Why a repository's keys could not be used.
pub(super) enum KeyError {
    /// The repository did not do what is said here.
    Repository(&'static str, Box<RusticError>),
    /// A key could not be locked: the system gives no random bytes.
    Locking,
}

/// What opens a repository.
pub(super) struct Unlocked {
    /// Its master key.
    pub(super) master: MasterKey,
    /// Whether the newest password opens it with the least work already.
    pub(super) is_current: bool,
}

/// A key file that could be read.
struct Candidate {
    file: KeyFile,
    work: u64,
}

/// Opens one of the repository's key files with one of `passwords`, which come newest first; of the key files that one
/// opens, the one that takes the least work. `None` when none fits.
///
/// # Errors
/// When they cannot be listed or read.
pub(super) fn unlock(remote: &Remote, passwords: &[String]) -> Result<Option<Unlocked>, KeyError> {
    Ok(open_one_of(read(remote)?, passwords))
}

/// By the newest password that fits any of them: an older one would have a key file written for the newest each time.
fn open_one_of(mut candidates: Vec<Candidate>, passwords: &[String]) -> Option<Unlocked> {
    candidates.sort_by_key(|candidate| candidate.work);
    passwords.iter().enumerate().find_map(|(age, password)| {
        candidates.iter().find_map(|candidate| {
            let master = open(&candidate.file, password)?;
            let is_current = age == 0 && candidate.work <= work(WORK);
            Some(Unlocked { master, is_current })
        })
    })
}

/// Writes a key file, so that this password opens the repository from now on; `host` is who it is for, in restic's list.
///
/// # Errors
/// When it cannot be written.
pub(super) fn add(remote: &Remote, master: &MasterKey, password: &str, host: &str) -> Result<(), KeyError> {
    let file = lock(master, password, host).ok_or(KeyError::Locking)?;
    let text = serde_json::to_vec(&file).map_err(|_| KeyError::Locking)?;
    let id = Id::new(Sha256::digest(&text).into());
    let written = remote.write_bytes(FileType::Key, &id, false, text.into());
    written.map_err(|error| KeyError::Repository("adding a key", error))
}

/// All key files there are; one that is no key file is passed over, because another one may open the repository.
fn read(remote: &Remote) -> Result<Vec<Candidate>, KeyError> {
    let listed = remote.list(FileType::Key);
    let listed = listed.map_err(|error| KeyError::Repository("listing the keys", error))?;
    let mut candidates = Vec::new();
    for id in listed.iter().take(MAX_KEY_FILES) {
        let text = remote.read_full(FileType::Key, id);
        let text = text.map_err(|error| KeyError::Repository("reading a key", error))?;
        let Ok(file) = serde_json::from_slice::<KeyFile>(&text) else {
            continue;
        };
        let work = work((file.n, file.r, file.p));
        if file.kdf == "scrypt" && work <= MAX_WORK {
            candidates.push(Candidate { file, work });
        }
    }
    Ok(candidates)
}

/// What deriving a key takes: 128 bytes of memory for each block of each step, in each round.
fn work((n, r, p): (u32, u32, u32)) -> u64 {
    [n, r, p]
        .into_iter()
        .fold(128, |work: u64, factor| work.saturating_mul(factor.into()))
}

fn derive(password: &str, salt: &[u8], (n, r, p): (u32, u32, u32)) -> Option<CipherKey> {
    let steps = u8::try_from(n.checked_ilog2()?)
        .ok()
        .filter(|_| n.is_power_of_two())?;
    let parameters = scrypt::Params::new(steps, r, p).ok()?;
    let mut key = [0; KEY_BYTES];
    scrypt::scrypt(password.as_bytes(), salt, &parameters, &mut key).ok()?;
    Some(key.into())
}

fn open(file: &KeyFile, password: &str) -> Option<MasterKey> {
    let key = derive(password, &file.salt, (file.n, file.r, file.p))?;
    let (nonce, sealed) = file.data.split_first_chunk::<NONCE_BYTES>()?;
    let opened = Aes256CtrPoly1305Aes::new(&key).decrypt(&Nonce::from(*nonce), sealed);
    let master: MasterKey = serde_json::from_slice(&opened.ok()?).ok()?;
    // Of any other length it would be no key of this cipher, and rustic would not ask.
    let fits = master.encrypt.len() == 32 && master.mac.k.len() == 16 && master.mac.r.len() == 16;
    fits.then_some(master)
}

fn lock(master: &MasterKey, password: &str, host: &str) -> Option<KeyFile> {
    let mut salt = vec![0; SALT_BYTES];
    let mut nonce = [0; NONCE_BYTES];
    for bytes in [salt.as_mut_slice(), nonce.as_mut_slice()] {
        getrandom(bytes, GetRandomFlags::empty()).ok()?;
    }
    let key = derive(password, &salt, WORK)?;
    let opened = serde_json::to_vec(master).ok()?;
    let sealed = Aes256CtrPoly1305Aes::new(&key).encrypt(&Nonce::from(nonce), opened.as_slice());
    let data = [nonce.as_slice(), &sealed.ok()?].concat();
    let (n, r, p) = WORK;
    Some(KeyFile {
        hostname: Some(host.to_owned()),
        username: None,
        created: None,
        kdf: "scrypt".to_owned(),
        n,
        r,
        p,
        data,
        salt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_opens_with_its_password_only() {
        let master = MasterKey::new();
        let file = lock(&master, "right", "host").unwrap();
        assert_eq!(open(&file, "right").unwrap().encrypt, master.encrypt);
        assert!(open(&file, "wrong").is_none());
    }

    #[test]
    fn the_newest_password_is_used_whatever_the_order_of_the_key_files() {
        let master = MasterKey::new();
        let candidate = |password: &str, work| Candidate {
            file: lock(&master, password, "host").unwrap(),
            work,
        };
        let passwords = ["new", "old"].map(str::to_owned);
        let least = work(WORK);
        for (files, expected) in [
            (vec![("old", least), ("new", least)], Some(true)),
            (vec![("new", least), ("old", least)], Some(true)),
            (vec![("old", least), ("new", 2 * least)], Some(false)),
            (vec![("new", 2 * least), ("new", least)], Some(true)),
            (vec![("old", least)], Some(false)),
            (vec![("other", least)], None),
        ] {
            let candidates = files
                .iter()
                .map(|(password, work)| candidate(password, *work))
                .collect();
            let unlocked = open_one_of(candidates, &passwords);
            assert_eq!(
                unlocked.map(|unlocked| unlocked.is_current),
                expected,
                "{files:?}"
            );
        }
    }

    #[test]
    fn a_damaged_key_file_opens_nothing() {
        let file = lock(&MasterKey::new(), "right", "host").unwrap();
        for (n, r, p) in [(0, 1, 1), (3, 1, 1), (2, 0, 1), (2, 1, 0), (u32::MAX, 1, 1)] {
            let broken = KeyFile {
                n,
                r,
                p,
                ..lock(&MasterKey::new(), "right", "host").unwrap()
            };
            assert!(open(&broken, "right").is_none(), "{n} {r} {p}");
        }
        for length in [0, NONCE_BYTES - 1, NONCE_BYTES, file.data.len() - 1] {
            let mut cut = lock(&MasterKey::new(), "right", "host").unwrap();
            cut.data.truncate(length);
            assert!(open(&cut, "right").is_none(), "{length}");
        }
    }
}
