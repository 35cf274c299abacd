//! A repository's endpoint in memory: the restic REST protocol as the Worker speaks it, and what can go wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use moltworker_core::wire::run::{RepositoryAccess, RepositoryPassword, RepositoryToken, RestorePoint};
use sha2::{Digest, Sha256};

use crate::fixture::{USER, WAIT_DEADLINE};

/// May add and read.
pub(crate) const APPEND: &str = "append-token";
/// May delete as well.
pub(crate) const MAINTAIN: &str = "maintain-token";
pub(crate) const PASSWORD: char = 'a';
/// Longer than any test runs.
const FOR_EVER: Duration = Duration::from_secs(1_000_000_000);

/// What goes wrong with a request that fits.
#[derive(Clone)]
pub(crate) struct Fault {
    /// The method, or nothing for each.
    pub(crate) method: &'static str,
    /// What its path contains.
    pub(crate) path: String,
    /// So many requests that fit go well first.
    pub(crate) after: usize,
    /// So many go wrong then.
    pub(crate) times: usize,
    pub(crate) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Status(u16),
    /// Nothing is answered.
    Hang,
    /// The answer takes its time.
    Late(Duration),
    /// The connection is closed in the middle of the answer.
    Truncate,
    /// One byte is another.
    Corrupt,
    /// An empty list; what is no list is answered as it is.
    Empty,
    /// It is done, and the connection is closed without a word.
    Lost,
}

impl Fault {
    /// Every request that fits goes wrong.
    pub(crate) fn always(method: &'static str, path: impl Into<String>, what: What) -> Self {
        Self {
            method,
            path: path.into(),
            after: 0,
            times: usize::MAX,
            what,
        }
    }
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    faults: Vec<Fault>,
    /// Requests that were not answered.
    hung: usize,
    /// How long a token lives; without it, for ever.
    life: Option<Duration>,
    /// Tokens that were minted or renewed, and when they expire.
    minted: Vec<(String, Instant)>,
    /// Renewals that were granted.
    renewed: usize,
    /// The paths of all objects that were read, in order.
    reads: Vec<String>,
    /// Reads that are under way, how many were at a time, and bytes of all answers.
    reading: (usize, usize),
    sent: usize,
}

/// The endpoint. It lives as long as the test's process.
#[derive(Clone)]
pub(crate) struct Repository {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Repository {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let repository = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let serving = repository.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || while serving.answer(&stream).is_some() {});
            }
        });
        repository
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/_repo/{USER}/", self.address)
    }

    /// What the Sandbox would say about it.
    pub(crate) fn access(&self) -> RepositoryAccess {
        RepositoryAccess {
            url: self.url(),
            token: RepositoryToken::new(APPEND).unwrap(),
            passwords: vec![password(PASSWORD)],
            restore: RestorePoint::Latest,
        }
    }

    /// Tokens expire from now on, the first one as well.
    pub(crate) fn tokens_live(&self, life: Duration) {
        let mut state = self.state();
        state.life = Some(life);
        state.minted.push((APPEND.to_owned(), Instant::now() + life));
    }

    /// A fresh token, as the Sandbox mints it.
    pub(crate) fn mint(&self, life: Duration) -> String {
        let mut state = self.state();
        let token = format!("{APPEND}.{}", state.minted.len());
        state.minted.push((token.clone(), Instant::now() + life));
        token
    }

    /// What opened it until now opens it no more.
    pub(crate) fn expire(&self) {
        for (_, until) in &mut self.state().minted {
            *until = Instant::now();
        }
    }

    /// Renewals that were granted.
    pub(crate) fn renewed(&self) -> usize {
        self.state().renewed
    }

    fn opens(&self, token: &str) -> bool {
        let state = self.state();
        let minted = state.minted.iter().find(|(minted, _)| minted == token);
        match minted {
            Some((_, until)) => Instant::now() < *until,
            None => token == APPEND || token == MAINTAIN,
        }
    }

    pub(crate) fn break_with(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    pub(crate) fn mend(&self) {
        self.state().faults.clear();
    }

    /// Requests that were not answered.
    pub(crate) fn hung(&self) -> usize {
        self.state().hung
    }

    /// The paths of the objects that were read since it was asked last.
    pub(crate) fn reads(&self) -> Vec<String> {
        std::mem::take(&mut self.state().reads)
    }

    /// Bytes that were answered since it was asked last.
    pub(crate) fn sent(&self) -> usize {
        std::mem::take(&mut self.state().sent)
    }

    /// How many objects were read at a time since then.
    pub(crate) fn read_at_a_time(&self) -> usize {
        std::mem::take(&mut self.state().reading.1)
    }

    /// What all objects contain whose path begins so.
    pub(crate) fn contents(&self, directory: &str) -> Vec<Vec<u8>> {
        let state = self.state();
        let inside = state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(directory));
        inside.map(|(_, content)| content.clone()).collect()
    }

    /// The paths of its objects.
    pub(crate) fn objects(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Snapshots there are.
    pub(crate) fn snapshots(&self) -> usize {
        self.objects()
            .iter()
            .filter(|path| path.starts_with("snapshots/"))
            .count()
    }

    /// Bytes in all objects.
    pub(crate) fn bytes(&self) -> usize {
        self.state().objects.values().map(Vec::len).sum()
    }

    /// The paths of the packs that were added since there were only those objects, the largest first.
    pub(crate) fn packs_since(&self, objects: &[String]) -> Vec<String> {
        let state = self.state();
        let added = state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with("data/") && !objects.contains(path));
        let mut added: Vec<_> = added.map(|(path, bytes)| (bytes.len(), path.clone())).collect();
        added.sort_unstable_by(|a, b| b.cmp(a));
        added.into_iter().map(|(_, path)| path).collect()
    }

    /// A bit of an object turns over where it is stored.
    pub(crate) fn rot(&self, path: &str) {
        let mut state = self.state();
        let object = state.objects.get_mut(path).unwrap();
        let middle = object.len() / 2;
        object[middle] ^= 1;
    }

    /// An object is gone.
    pub(crate) fn lose(&self, path: &str) {
        assert!(self.state().objects.remove(path).is_some());
    }

    /// An object is again what it is in another repository.
    pub(crate) fn mend_object(&self, path: &str, from: &Self) {
        let object = from.state().objects[path].clone();
        self.state().objects.insert(path.to_owned(), object);
    }

    /// Another one with the same objects.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::start();
        copy.state().objects = self.state().objects.clone();
        copy
    }

    /// Answers one request; nothing when the connection is over.
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(WAIT_DEADLINE * 10)).ok()?;
        let mut reader = BufReader::with_capacity(1, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let header = |name: &str| {
            let mut lines = head.lines().skip(1);
            lines.find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        if header("expect").is_some() {
            let mut stream = stream;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = head.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let token = header("authorization")
            .map(|value| presented(&value))
            .unwrap_or_default();
        let range = header("range");
        let second_version = header("accept").is_some_and(|accept| accept.contains("restic.rest.v2"));
        let path = target.strip_prefix(&format!("/_repo/{USER}/"))?.to_owned();

        let fault = self.fault(&method, &path);
        let reads = method == "GET" && !path.ends_with('/');
        if reads {
            let mut state = self.state();
            state.reads.push(path.clone());
            let now = state.reading.0 + 1;
            state.reading = (now, state.reading.1.max(now));
        }
        if let Some(What::Late(time)) = fault {
            std::thread::park_timeout(time);
        }
        self.state().reading.0 -= usize::from(reads);
        let (status, mut bytes) = match fault {
            Some(What::Status(status)) => (status, Vec::new()),
            Some(What::Hang) => {
                self.state().hung += 1;
                std::thread::park_timeout(WAIT_DEADLINE);
                return None;
            }
            Some(What::Empty) => (200, b"[]".to_vec()),
            _ if method == "GET" && path.ends_with('/') && self.opens(&token) => {
                (200, self.list(&path, second_version))
            }
            _ => self.serve(&method, &path, &token, range.as_deref(), body),
        };
        if fault == Some(What::Lost) {
            return None;
        }
        if fault == Some(What::Corrupt)
            && let Some(byte) = bytes.last_mut()
        {
            *byte ^= 1;
        }
        let announced = bytes.len();
        self.state().sent += announced;
        if method == "HEAD" {
            bytes.clear();
        }
        if fault == Some(What::Truncate) {
            bytes.truncate(bytes.len() / 2);
        }
        let kind = if second_version {
            "content-type: application/vnd.x.restic.rest.v2\r\n"
        } else {
            ""
        };
        let head = format!("HTTP/1.1 {status} X\r\n{kind}content-length: {announced}\r\n\r\n");
        let mut stream = stream;
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&bytes).ok()?;
        (fault != Some(What::Truncate)).then_some(())
    }

    fn fault(&self, method: &str, path: &str) -> Option<What> {
        let mut state = self.state();
        for fault in &mut state.faults {
            let fits = (fault.method.is_empty() || fault.method == method) && path.contains(&fault.path);
            if !fits || (fault.what == What::Empty && !path.ends_with('/')) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Some(fault.what);
            }
        }
        None
    }

    fn list(&self, directory: &str, second_version: bool) -> Vec<u8> {
        let state = self.state();
        let all = state.objects.iter().filter_map(|(name, bytes)| {
            let name = name.strip_prefix(directory)?;
            Some(if second_version {
                format!("{{\"name\":\"{name}\",\"size\":{}}}", bytes.len())
            } else {
                format!("\"{name}\"")
            })
        });
        format!("[{}]", all.collect::<Vec<_>>().join(",")).into_bytes()
    }

    fn serve(
        &self,
        method: &str,
        path: &str,
        token: &str,
        range: Option<&str>,
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        if !self.opens(token) {
            return (401, Vec::new());
        }
        if method == "POST" && path == "token" {
            let life = self.state().life;
            let (token, life) = match life {
                Some(life) => (self.mint(life), life),
                None => (token.to_owned(), FOR_EVER),
            };
            self.state().renewed += 1;
            let expires_at = now_ms() + life.as_millis();
            let answer = format!("{{\"token\":\"{token}\",\"expires_at\":{expires_at}}}");
            return (200, answer.into_bytes());
        }
        let objects = &mut self.state().objects;
        match method {
            "POST" if path.is_empty() || path.starts_with('?') => (200, Vec::new()),
            "POST" if objects.contains_key(path) => (403, Vec::new()),
            "POST" => {
                let named = path.rsplit('/').next().unwrap();
                let digest: String = Sha256::digest(&body)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                if path != "config" && named != digest {
                    return (400, Vec::new());
                }
                objects.insert(path.to_owned(), body);
                (200, Vec::new())
            }
            "DELETE" if token != MAINTAIN => (403, Vec::new()),
            "DELETE" => objects
                .remove(path)
                .map_or((404, Vec::new()), |_| (200, Vec::new())),
            _ => match (objects.get(path), range) {
                (None, _) => (404, Vec::new()),
                (Some(bytes), None) => (200, bytes.clone()),
                (Some(bytes), Some(range)) => {
                    let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                    let from: usize = from.parse().unwrap();
                    let to = to
                        .parse()
                        .map_or(bytes.len(), |to: usize| (to + 1).min(bytes.len()));
                    (206, bytes[from..to].to_vec())
                }
            },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the double's own clock")]
fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

/// The token of a Bearer or Basic header.
fn presented(header: &str) -> String {
    let (scheme, value) = header.split_once(' ').unwrap();
    if scheme.eq_ignore_ascii_case("basic") {
        use base64::Engine;
        let decoded = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
        let text = String::from_utf8(decoded).unwrap();
        return text.split_once(':').unwrap().1.to_owned();
    }
    value.to_owned()
}

pub(crate) fn password(digit: char) -> RepositoryPassword {
    RepositoryPassword::new(digit.to_string().repeat(64)).unwrap()
}
