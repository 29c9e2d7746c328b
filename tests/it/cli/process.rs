//! The binary as a process: started, waited for with a limit, never left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use regex::Regex;

/// The longest that anything here may take, in real time.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// How often a process is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What came of a process.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` where a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// The code and both outputs in one text, without what differs from time to time.
    pub(super) fn transcript(&self) -> String {
        let code = self
            .code
            .map_or("a signal".to_owned(), |code| code.to_string());
        let (stdout, stderr) = (stable(&self.stdout), stable(&self.stderr));
        format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }
}

/// The binary with these arguments, in the crate's folder, and with nothing of our environment.
pub(super) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skygate"));
    command.args(args);
    prepared(command)
}

/// `command` in the crate's folder, with an environment of nothing but the path.
pub(super) fn prepared(mut command: Command) -> Command {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs the binary to its end.
pub(super) fn skygate(args: &[&str]) -> Ended {
    finish(command(args), "")
}

/// Runs the binary to its end, with `stdin`.
pub(super) fn skygate_reading(args: &[&str], stdin: &str) -> Ended {
    finish(command(args), stdin)
}

/// Runs `command` to its end with `stdin`; one that takes too long is killed, and the test fails.
pub(super) fn finish(mut command: Command, stdin: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the process starts");
    let mut input = child.stdin.take().expect("it was piped");
    // A process that reads no stdin may be gone before all is written.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let stdout = collect(child.stdout.take().expect("it was piped"));
    let stderr = collect(child.stderr.take().expect("it was piped"));
    let code = wait(&mut child, &command);
    Ended {
        code,
        stdout: stdout.join().expect("a reader"),
        stderr: stderr.join().expect("a reader"),
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

pub(super) fn wait(child: &mut Child, command: &Command) -> Option<i32> {
    for _ in 0..LIMIT.as_millis() / POLL.as_millis() {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return status.code();
        }
        thread::sleep(POLL);
    }
    let _ = child.kill();
    panic!("{command:?} did not end within {LIMIT:?}");
}

/// A process that goes on until it is told to end; killed when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    command: Command,
    /// What it has written so far, a line each time.
    lines: mpsc::Receiver<String>,
    other: Option<JoinHandle<String>>,
}

/// Which output of a [`Running`] process is read line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Stdout,
    Stderr,
    /// Stdout, of which little more is read than is asked for.
    Unread,
}

impl Running {
    pub(super) fn start(mut command: Command, follow: Follow) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let stdout = child.stdout.take().expect("it was piped");
        let stderr = child.stderr.take().expect("it was piped");
        let (lines, other) = match follow {
            Follow::Stdout => (lines_of(stdout), collect(stderr)),
            Follow::Stderr => (lines_of(stderr), collect(stdout)),
            Follow::Unread => (lines_on_demand(stdout), collect(stderr)),
        };
        Self {
            child,
            command,
            lines,
            other: Some(other),
        }
    }

    /// The next line that holds `text`.
    pub(super) fn line_with(&self, text: &str) -> String {
        self.line_within(LIMIT, text)
    }

    /// The same where nothing may be said for as long as `limit`.
    pub(super) fn line_within(&self, limit: Duration, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(limit);
            let line = line.unwrap_or_else(|_| panic!("{:?} never said `{text}`", self.command));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends it a signal, `INT` or `TERM`.
    pub(super) fn signal(&self, name: &str) {
        let sent: Output = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .output()
            .expect("there is a `kill`");
        assert!(sent.status.success(), "{sent:?}");
    }

    /// Kills it, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Waits for its end: its code, and what the output that is not followed holds.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let code = wait(&mut self.child, &self.command);
        let other = self.other.take().expect("it is taken once");
        (code, other.join().expect("a reader"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn lines_of(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// The same, but no line is read before the one before it was taken.
fn lines_on_demand(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(0);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// `skygate simulate-oap` on a port of its own.
#[derive(Debug)]
pub(super) struct Oap {
    pub(super) process: Running,
    pub(super) url: String,
}

impl Oap {
    /// One with these services, ready to answer.
    pub(super) fn start(services: &[&str]) -> Self {
        let mut args = vec!["simulate-oap", "--listen", "127.0.0.1:0"];
        args.extend(services.iter().flat_map(|service| ["--service", service]));
        Self::started(command(&args))
    }

    pub(super) fn started(command: Command) -> Self {
        let process = Running::start(command, Follow::Stdout);
        let url = process.line_with("http://");
        Self { process, url }
    }
}

/// `text` without what differs from time to time: moments, ports, ids, skews.
pub(super) fn stable(text: &str) -> String {
    const DIFFERING: [(&str, &str); 7] = [
        (r"\d{4}-\d\d-\d\d", "DATE"),
        (r"\d\d:\d\d:\d\dZ?", "TIME"),
        (r"\b\d\d:\d\d\b", "HH:MM"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID"),
        (r"clock (as|[0-9.]+ s (ahead of|behind)) ours", "clock SKEW"),
        (r"/tmp/[^/ `]+/", "TMP/"),
    ];
    DIFFERING
        .iter()
        .fold(text.to_owned(), |text, (pattern, name)| {
            let pattern = Regex::new(pattern).expect("a pattern of ours");
            pattern.replace_all(&text, *name).into_owned()
        })
}
