//! One supervisor with a home and ports of its own, and a client to talk to it. Nothing outlives it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moltworker_core::wire::control::{GatewayPhase, STATUS_PATH, Status};
use moltworker_core::wire::run::{
    ControlToken, INGRESS_SECRET_HEADER, IngressSecret, OfferedModel, RepositoryAccess, Run, RunSettings,
};

/// Longer than anything here takes on a busy machine: three times the longest pause between two attempts, a minute. A
/// backup process has the lowest priority, so beside builds it gets a few per cent of a core. Only a failing test waits
/// for all of it.
pub(crate) const WAIT_DEADLINE: Duration = Duration::from_secs(180);
/// How long a supervisor may take to stop once its test is over. One that cannot save, because the test broke its
/// repository, is killed then.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at what is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
pub(crate) const USER: &str = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// What the Sandbox proves itself with to the ingress.
pub(crate) const SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75e";

/// A running supervisor.
pub(crate) struct Fixture {
    supervisor: Child,
    output: Arc<Mutex<Vec<String>>>,
    pub(crate) ingress: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) gateway_port: u16,
    pub(crate) home: PathBuf,
    /// Removed last.
    _directory: tempfile::TempDir,
}

/// What is different in a test.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Flags of the fake gateway.
    pub(crate) gateway: &'a str,
    /// A program instead of the fake gateway.
    pub(crate) program: Option<&'a str>,
    /// A program that becomes the supervisor, with its arguments.
    pub(crate) under: &'a [&'a str],
    /// Further variables.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// The config that is there already.
    pub(crate) config: Option<&'a str>,
    /// Where the gateway is to listen.
    pub(crate) gateway_port: Option<u16>,
    /// The directory the home lies in, if not one of this bed's own.
    pub(crate) disk: Option<&'a Path>,
    /// Where the bot's snapshots are.
    pub(crate) repository: Option<RepositoryAccess>,
    /// Whether the Sandbox is of a version that knows no ingress secret.
    pub(crate) older_sandbox: bool,
}

/// What the Sandbox would say.
pub(crate) fn run_settings() -> RunSettings {
    RunSettings {
        user: USER.parse().unwrap(),
        run: Run(7),
        control_token: ControlToken::new(TOKEN).unwrap(),
        ingress_secret: Some(IngressSecret::new(SECRET).unwrap()),
        allowed_origins: vec!["https://bots.example.com".into()],
        offered_model: Some(OfferedModel {
            base_url: "http://models.test/v1".into(),
            id: "m-1".into(),
        }),
        repository: None,
    }
}

impl Fixture {
    /// Starts a supervisor and waits until its gateway is ready.
    pub(crate) fn ready() -> Self {
        let fixture = Self::start(&Setup::default());
        fixture.until("the gateway is ready", |status| {
            status.phase == GatewayPhase::Ready
        });
        fixture
    }

    /// Starts a supervisor; its ports are open then.
    pub(crate) fn start(setup: &Setup<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Run by root, the gateway is another user: it has to get in, and to the program.
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let gateway = directory.path().join("fake-gateway");
        // By another program: were this one to write it, a child that another test forks meanwhile would hold
        // the file open for writing until it has become its own program, and running it would be "text file busy".
        let copied = std::process::Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_fake-gateway"))
            .arg(&gateway)
            .status();
        assert!(copied.unwrap().success());
        let home = setup.disk.unwrap_or(directory.path()).join("moltbot");
        if let Some(config) = setup.config {
            std::fs::create_dir_all(home.join(".openclaw")).unwrap();
            std::fs::write(home.join(".openclaw/openclaw.json"), config).unwrap();
        }
        let run = RunSettings {
            repository: setup.repository.clone(),
            ingress_secret: run_settings().ingress_secret.filter(|_| !setup.older_sandbox),
            ..run_settings()
        };
        let gateway_port = setup.gateway_port.unwrap_or_else(Self::free_port);
        let mut words = setup.under.iter().chain([&env!("CARGO_BIN_EXE_test-supervisor")]);
        let mut supervisor = Command::new(words.next().unwrap())
            .args(words)
            .env_clear()
            .envs(run.to_env())
            .env("MOLTBOT_HOME", &home)
            .env(
                "TEST_GATEWAY_PROGRAM",
                setup.program.map_or(gateway.as_path(), Path::new),
            )
            .env("TEST_GATEWAY_ARGS", setup.gateway)
            .env("TEST_GATEWAY_PORT", gateway_port.to_string())
            .env("TEST_INGRESS_ADDRESS", "127.0.0.1:0")
            .env("TEST_CONTROL_ADDRESS", "127.0.0.1:0")
            .env("SECRET_OF_THE_CONTAINER", "not for the gateway")
            .envs(setup.env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(Vec::new()));
        follow(supervisor.stdout.take().unwrap(), &output);
        follow(supervisor.stderr.take().unwrap(), &output);
        let mut fixture = Self {
            supervisor,
            output,
            ingress: "127.0.0.1:1".parse().unwrap(),
            control: "127.0.0.1:1".parse().unwrap(),
            gateway_port,
            home,
            _directory: directory,
        };
        let ports = fixture.wait_for("the ports are open", || {
            let output = fixture.output();
            let line = output.lines().find(|line| line.contains("ingress on "))?;
            let mut words = line.split([' ', ',']).filter_map(|word| word.parse().ok());
            Some((words.next()?, words.next()?))
        });
        (fixture.ingress, fixture.control) = ports;
        fixture
    }

    /// A port for the gateway to bind later. Below the range the kernel takes clients' ports from: one of those
    /// could be in use by then.
    pub(crate) fn free_port() -> u16 {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = u16::try_from(std::process::id() % 100).unwrap() * 100;
        loop {
            let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    }

    /// Everything the supervisor and the gateway have printed.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    /// The supervisor's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.supervisor.id()
    }

    /// Sends the supervisor a signal.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.pid());
    }

    /// Processes below the supervisor, the ended ones that nobody has collected among them.
    pub(crate) fn children(&self) -> Vec<u32> {
        let parent = format!("PPid:\t{}", self.pid());
        let all = std::fs::read_dir("/proc").unwrap();
        all.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                status.lines().any(|line| line == parent)
            })
            .collect()
    }

    /// Waits for the supervisor's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + WAIT_DEADLINE;
        loop {
            if let Some(status) = self.supervisor.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "the supervisor did not end:\n{}",
                self.output()
            );
            std::thread::park_timeout(POLL_INTERVAL);
        }
    }

    /// The supervisor's own account.
    pub(crate) fn status(&self) -> Status {
        let answer = ask(
            self.control,
            &format!("GET {STATUS_PATH} HTTP/1.1\r\nauthorization: Bearer {TOKEN}"),
            b"",
        );
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Waits until the supervisor's account of itself fits.
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&Status) -> bool) -> Status {
        self.wait_for(what, || Some(self.status()).filter(&fits))
    }

    /// Waits for something, with a deadline.
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + WAIT_DEADLINE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                Instant::now() < until,
                "waited in vain until {what}:\n{}",
                self.output()
            );
            // What is waited for needs the processor more.
            std::thread::park_timeout(POLL_INTERVAL);
        }
    }

    /// Asks the gateway through the ingress.
    pub(crate) fn get(&self, path: &str) -> Answer {
        ask(self.ingress, &format!("GET {path} HTTP/1.1"), b"")
    }

    /// What the gateway's process looks like from inside.
    pub(crate) fn gateway(&self) -> serde_json::Value {
        serde_json::from_slice(&self.get("/process").body).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // The fake gateway dies with its parent; strays are what a test asks for and the stop takes.
        if self.supervisor.try_wait().unwrap().is_none() {
            self.signal("TERM");
            let until = Instant::now() + STOP_DEADLINE;
            while self.supervisor.try_wait().unwrap().is_none() && Instant::now() < until {
                std::thread::park_timeout(POLL_INTERVAL);
            }
            let _ = self.supervisor.kill();
            let _ = self.supervisor.wait();
        }
    }
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The `code` of a problem.
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// Sends a request whose first lines are `head`, as the Sandbox of this run, and reads the answer.
pub(crate) fn ask(to: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = connect(to);
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let proof = format!("{INGRESS_SECRET_HEADER}: {SECRET}");
    let head = format!("{head}\r\nhost: bots.example.com\r\n{proof}\r\nconnection: close\r\n{length}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(stream);
    let (status, head) = read_head(&mut reader);
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    Answer { status, head, body }
}

/// Begins a request whose first lines are `head`, as the Sandbox of this run; what comes after its head is the caller's.
pub(crate) fn begin(to: SocketAddr, head: &str) -> TcpStream {
    let mut stream = connect(to);
    let head = format!("{head}\r\nhost: h\r\n{INGRESS_SECRET_HEADER}: {SECRET}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Asks the control port with this run's token.
pub(crate) fn authorised(fixture: &Fixture, request: &str) -> Answer {
    ask(
        fixture.control,
        &format!("{request} HTTP/1.1\r\nauthorization: Bearer {TOKEN}"),
        b"",
    )
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(WAIT_DEADLINE)).unwrap();
    stream.set_write_timeout(Some(WAIT_DEADLINE)).unwrap();
    stream
}

/// Reads up to the empty line.
pub(crate) fn read_head(reader: &mut impl BufRead) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(
            reader.read_line(&mut head).unwrap(),
            0,
            "the connection ended in the head: {head}"
        );
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head)
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Says that something was not tested, where a test cannot run; in CI that is a failure of its own.
pub(crate) fn cannot_run(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "NOT TESTED, {what}: {why}");
    not_tested(what, why);
}

/// The same where that is no failure: a machine is not made for the tests.
pub(crate) fn not_tested(what: &str, why: &str) {
    let said = format!("NOT TESTED, {what}: {why}\n");
    // Not by `eprintln!`: what a test that passes says in that way is shown to nobody.
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

/// Whether a process is there and not only waiting to be collected.
pub(crate) fn lives(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// Whether a process is in this state, as the kernel calls it.
pub(crate) fn has_state(pid: u32, state: char) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains(&format!("State:\t{state}"))
}

/// Whether there is anything of a process.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn follow(stream: impl Read + Send + 'static, to: &Arc<Mutex<Vec<String>>>) {
    let to = Arc::clone(to);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            to.lock().unwrap().push(line);
        }
    });
}
