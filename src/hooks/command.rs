//! The hook that is a command, run by the shell.

use std::io::{PipeReader, Read, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ports::{Clock, Hook, HookAnswer, HookCall};

/// So much of what it says is kept, in bytes: the end of it.
const MOST_SAID: usize = 64 * 1024;

/// How long it may go on saying something after its end: what it left behind may hold its output open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Variables of this process's own credentials: nothing that a hook needs, and it may say whatever it has.
const SECRETS: [&str; 6] = [
    "SKYGATE_OAP_KEY",
    "SKYGATE_OAP_PASSWORD_FILE",
    "SKYGATE_OAP_TOKEN_FILE",
    "SKYGATE_SECRETS",
    "SKYGATE_WEBHOOK_SECRET",
    "SKYGATE_WEBHOOK_SECRET_FILE",
];

/// Runs a command through `sh -c`, in the environment of this process without its credentials, and with these variables:
///
/// | variable | value |
/// | --- | --- |
/// | `SKYGATE_ROLLOUT_NAMESPACE`, `SKYGATE_ROLLOUT_NAME` | the rollout |
/// | `SKYGATE_ROLLOUT_REVISION`, `SKYGATE_ROLLOUT_IMAGE` | what becomes the stable version; the image may be empty |
/// | `SKYGATE_ROLLOUT_NUMBER` | the number of the revision |
/// | `SKYGATE_ROLLOUT_KEY` | the same however often the same is to be done |
/// | `SKYGATE_ROLLOUT_TRY` | the how-manieth try it is |
/// | `SKYGATE_ROLLOUT_FENCE` | the number of the stepper's lease |
///
/// Done is what exits with 0. What takes too long is ended with all that it started.
#[derive(Clone, Debug)]
pub struct CommandHook {
    command: String,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl CommandHook {
    /// A hook that runs `command`, for as long as `timeout` at most.
    pub fn new(command: impl Into<String>, timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            command: command.into(),
            timeout,
            clock,
        }
    }

    fn spawn(&self, call: &HookCall) -> std::io::Result<(Child, PipeReader)> {
        let (reader, writer) = pipe()?;
        let HookCall {
            key,
            namespace,
            rollout,
            version,
            image,
            revision,
            number,
            fence,
        } = call;
        // A group of its own, so that all of it can be ended; and so that Ctrl-C is this process's to answer.
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_secret) {
                command.env_remove(name);
            }
        }
        let child = command
            .arg("-c")
            .arg(&self.command)
            .env("SKYGATE_ROLLOUT_NAMESPACE", namespace)
            .env("SKYGATE_ROLLOUT_NAME", rollout)
            .env("SKYGATE_ROLLOUT_REVISION", version)
            .env(
                "SKYGATE_ROLLOUT_IMAGE",
                image.as_deref().unwrap_or_default(),
            )
            .env("SKYGATE_ROLLOUT_NUMBER", revision.to_string())
            .env("SKYGATE_ROLLOUT_KEY", key)
            .env("SKYGATE_ROLLOUT_TRY", number.to_string())
            .env("SKYGATE_ROLLOUT_FENCE", fence.to_string())
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        Ok((child, reader))
    }
}

#[async_trait]
impl Hook for CommandHook {
    async fn run(&self, call: &HookCall) -> HookAnswer {
        let failed = |output: String| HookAnswer {
            is_success: false,
            output,
        };
        let (mut child, reader) = match self.spawn(call) {
            Ok(spawned) => spawned,
            Err(error) => return failed(format!("failed to start `sh`: {error}")),
        };
        let group = Group::of(&child);
        let said = Said::default();
        let (mut waiting, mut reading) = (JoinSet::new(), JoinSet::new());
        let heard = said.clone();
        reading.spawn_blocking(move || heard.hear(reader));
        waiting.spawn_blocking(move || child.wait());

        let limit = self.clock.deadline(self.timeout);
        let ended = timeout(limit, waiting.join_next()).await;
        let is_over = ended.is_ok();
        let exit = ended.ok().flatten().and_then(Result::ok);
        if is_over {
            group.disarm();
        } else {
            drop(group);
            // Its end is waited for: nothing of it runs beside the next try.
            let _ = waiting.join_next().await;
        }
        let _ = timeout(LAST_WORDS, reading.join_next()).await;
        let mut output = said.text();
        match exit {
            Some(Ok(status)) if status.success() => HookAnswer {
                is_success: true,
                output,
            },
            Some(Ok(status)) => {
                if output.trim().is_empty() {
                    output = ended_with(status);
                }
                failed(output)
            }
            Some(Err(error)) => failed(format!("{output}\nfailed to wait for it: {error}")),
            None => failed(format!(
                "{output}\nit took longer than {:?} and was ended",
                self.timeout
            )),
        }
    }
}

/// Whether a variable holds a credential of this process, or says where one is.
fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
        || name.starts_with("SKYGATE_TOKEN")
        || name.starts_with("SKYGATE_SECRET_")
}

fn ended_with(status: ExitStatus) -> String {
    format!("it said nothing and ended with {status}")
}

/// All processes of a command. They are ended where nobody waits for them any more.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = i32::try_from(child.id()).ok();
        Self(id.and_then(Pid::from_raw))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The end of what a command says.
#[derive(Clone, Debug, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn hear(&self, mut reader: PipeReader) {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut piece) {
            let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend_from_slice(&piece[..length]);
            let surplus = said.len().saturating_sub(MOST_SAID);
            said.drain(..surplus);
        }
    }

    fn text(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }
}
