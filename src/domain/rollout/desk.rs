//! What the service keeps of a rollout: the stepper's record, who may write it, and what people want of it.
//!
//! The service reads little of the record: what it shows, and enough to say at once that a command makes no sense. Everything else
//! is the stepper's. These are the rules that keep steppers apart and lose no command:
//!
//! - One stepper at a time has the lease. It is short, and its holder renews it; whoever comes meanwhile is told who has it.
//! - Every new holder gets a higher number, the fence. Saving takes the newest one, so a stepper that was thought dead saves nothing
//!   any more; routers keep the same number for the same reason.
//! - A save names the save that it follows, so that one which was long under way does not undo its successor.
//! - Commands have increasing numbers, and stay until a saved record counts them as taken.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::command::{Command, Posted, Refusal, Seen};
use super::record::RecordError;
use super::state::Rollout;

/// The version of the stored form.
const DESK_VERSION: u64 = 1;

/// How many commands may wait for a stepper; and one more, an abort, which nothing keeps out.
const MOST_WAITING: usize = 100;

/// How many commands are kept that a stepper has taken.
const MOST_TAKEN: usize = 20;

/// What the service keeps of one rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desk {
    /// The stepper's record, as [`Rollout::to_record`] wrote it; `None`: none was saved yet.
    pub record: Option<Value>,
    /// How often one was saved.
    pub saves: u64,
    /// The highest number that a lease has had.
    pub fence: u64,
    /// Who steps it, or did last.
    pub lease: Option<Lease>,
    /// The highest number that a command has had.
    pub last_command: u64,
    /// What people wanted, oldest first: all that waits, and the newest of what was taken.
    pub letters: Vec<Letter>,
}

/// Who may save the record and move the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Who has it, as they call themselves.
    pub holder: String,
    /// Its number: higher than that of every holder before.
    pub fence: u64,
    /// When somebody else may have it.
    pub expires_at: Timestamp,
}

/// What somebody wants, with who and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The command and its number.
    pub posted: Posted,
    /// Who posted it; empty where nobody needs a name.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why something cannot be done at a desk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// Another stepper has the lease.
    #[error(
        "it is stepped by `{}` until {}: one stepper at a time moves a rollout, and this one may take over once it is gone",
        .0.holder,
        .0.expires_at
    )]
    Held(Lease),
    /// The lease is not the newest any more, or was given back.
    #[error("the lease {fence} is no longer held{}", followed(.by.as_ref()))]
    LeaseLost {
        /// The number of the lease that was shown.
        fence: u64,
        /// Who has it now.
        by: Option<Lease>,
    },
    /// Something was saved since.
    #[error("it was saved {saves} times, and not {followed}: read the record again")]
    Overtaken {
        /// The save that was said to be the newest.
        followed: u64,
        /// The one that is.
        saves: u64,
    },
    /// What was to be saved is no record.
    #[error(transparent)]
    Unreadable(#[from] RecordError),
    /// What was to be saved is another rollout's record.
    #[error("the record is that of `{found}`, and not of `{expected}`")]
    Strange {
        /// Whose it is.
        found: String,
        /// Whose was expected.
        expected: String,
    },
    /// Nothing can be wanted of a rollout that has not begun.
    #[error("nothing has been rolled out yet")]
    Empty,
    /// The rollout has no use for the command now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody has taken the commands before it.
    #[error("{MOST_WAITING} commands wait for a stepper already")]
    Full,
}

fn followed(by: Option<&Lease>) -> String {
    by.map_or(String::new(), |by| {
        format!(
            ": `{}` has stepped since, with the lease {}",
            by.holder, by.fence
        )
    })
}

impl Desk {
    /// Gives `holder` the lease until `until`, or lets it keep the one it has. A new holder gets a new number.
    ///
    /// Numbers follow the clock where that is ahead: a service that has lost what it kept still gives higher ones than before.
    /// A lease that ends later than one that is given now was given by a clock that went ahead: it is cut to that, also where somebody
    /// else keeps it for now.
    pub fn take(
        &mut self,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Lease, DeskError> {
        let is_same = |lease: &Lease| lease.holder == holder;
        if let Some(lease) = &mut self.lease {
            lease.expires_at = lease.expires_at.min(until);
        }
        match &self.lease {
            // Nobody had it in between, even where it ran out.
            Some(lease) if is_same(lease) => return self.renew(lease.fence, until),
            Some(lease) if now < lease.expires_at => return Err(DeskError::Held(lease.clone())),
            Some(_) | None => {}
        }
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        self.fence = self.fence.saturating_add(1).max(seconds);
        let lease = Lease {
            holder: holder.to_owned(),
            fence: self.fence,
            expires_at: until,
        };
        self.lease = Some(lease.clone());
        Ok(lease)
    }

    /// Lets whoever has the lease of this number keep it until `until`.
    pub fn renew(&mut self, fence: u64, until: Timestamp) -> Result<Lease, DeskError> {
        let lease = self.held(fence)?;
        lease.expires_at = until;
        Ok(lease.clone())
    }

    /// The lease of this number, if it is the newest.
    fn held(&mut self, fence: u64) -> Result<&mut Lease, DeskError> {
        let by = self.lease.clone();
        let newest = self.lease.as_mut().filter(|lease| lease.fence == fence);
        newest.ok_or(DeskError::LeaseLost { fence, by })
    }

    /// Gives the lease of this number back, so that the next stepper need not wait for its end.
    pub fn release(&mut self, fence: u64) -> Result<(), DeskError> {
        // Once given back it cannot be given back again, and need not be.
        if self.lease.is_some() {
            self.held(fence)?;
            self.lease = None;
        }
        Ok(())
    }

    /// Keeps `record` in place of the one that was saved as number `following`; 0: of none. The newest lease is needed for that.
    /// Commands that the record counts as taken wait no more.
    pub fn save(
        &mut self,
        name: (&str, &str),
        fence: u64,
        following: u64,
        record: Value,
    ) -> Result<(), DeskError> {
        self.held(fence)?;
        if following != self.saves {
            return Err(DeskError::Overtaken {
                followed: following,
                saves: self.saves,
            });
        }
        match Rollout::from_record(&record) {
            // What a newer stepper writes is its own affair.
            Ok(_) | Err(RecordError::Newer(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let text = |field| {
            record
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (namespace, of) = (text("namespace"), text("name"));
        if (namespace, of) != name {
            return Err(DeskError::Strange {
                found: format!("{namespace}/{of}"),
                expected: format!("{}/{}", name.0, name.1),
            });
        }
        self.record = Some(record);
        self.saves += 1;
        // What was lost here and given back may have taken commands that nobody knows of any more: the next one is none of them.
        self.last_command = self.last_command.max(self.commands_taken());
        self.forget_taken();
        Ok(())
    }

    /// Keeps a command for the stepper, if it makes sense by the newest record.
    ///
    /// A `promote` means what it does by that record ([`Rollout::meant_by_promote`]), and where it does not say what was seen, the step
    /// that the record is at: it must not skip the one after it. An `abort` finds room however many wait.
    pub fn post(
        &mut self,
        command: Command,
        seen: Option<Seen>,
        by: &str,
        now: Timestamp,
    ) -> Result<Letter, DeskError> {
        let record = self.record.as_ref().ok_or(DeskError::Empty)?;
        let (mut command, mut seen) = (command, seen);
        match Rollout::from_record(record) {
            Ok(rollout) => {
                let is_promotion = command == Command::Promote;
                if is_promotion {
                    command = rollout.meant_by_promote();
                }
                rollout.accepts(command, seen, now)?;
                if is_promotion {
                    seen.get_or_insert(Seen {
                        revision: rollout.revision.number,
                        step: rollout.step,
                    });
                }
            }
            // A newer stepper refuses itself what makes no sense to it.
            Err(RecordError::Newer(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if self.waiting().count() >= MOST_WAITING {
            match (command, self.letters.last_mut()) {
                // It is the last thing to be done already. Whoever means it wherever the rollout is means it most.
                (Command::Abort, Some(last)) if last.posted.command == command => {
                    last.posted.seen = last.posted.seen.filter(|it| Some(*it) == seen);
                    return Ok(last.clone());
                }
                (Command::Abort, _) => {}
                (
                    Command::Promote
                    | Command::Confirm
                    | Command::PromoteFull
                    | Command::Retry
                    | Command::Pause
                    | Command::Resume,
                    _,
                ) => return Err(DeskError::Full),
            }
        }
        self.last_command += 1;
        let letter = Letter {
            posted: Posted {
                number: self.last_command,
                command,
                seen,
            },
            by: by.to_owned(),
            at: now,
        };
        self.letters.push(letter.clone());
        Ok(letter)
    }

    /// The commands that no saved record counts as taken, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Letter> {
        let taken = self.commands_taken();
        self.letters
            .iter()
            .filter(move |letter| letter.posted.number > taken)
    }

    /// The number of the last command that the record counts as taken.
    pub fn commands_taken(&self) -> u64 {
        let record = self.record.as_ref();
        let taken = record.and_then(|record| record.get("commandsTaken")?.as_u64());
        taken.unwrap_or_default()
    }

    /// Who steps it at `now`.
    pub fn stepper(&self, now: Timestamp) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| now < lease.expires_at)
    }

    fn forget_taken(&mut self) {
        let waiting = self.waiting().count();
        let surplus = self.letters.len().saturating_sub(waiting + MOST_TAKEN);
        self.letters.drain(..surplus);
    }

    /// Its stored form.
    pub fn to_body(&self) -> Value {
        let Self {
            record,
            saves,
            fence,
            lease,
            last_command,
            letters,
        } = self;
        let letters: Vec<StoredLetter> = letters.iter().map(StoredLetter::of).collect();
        json!({
            "version": DESK_VERSION,
            "record": record,
            "saves": saves,
            "fence": fence,
            "lease": lease,
            "lastCommand": last_command,
            "letters": letters,
        })
    }

    /// The desk that was stored; the error says what is wrong with it.
    pub fn from_body(body: &Value) -> Result<Self, String> {
        match body.get("version").and_then(Value::as_u64) {
            Some(DESK_VERSION) => {}
            Some(newer) if newer > DESK_VERSION => {
                return Err(format!(
                    "it was stored in version {newer}; up to {DESK_VERSION} can be read: use the newer skygate"
                ));
            }
            Some(_) | None => return Err("it carries no version".to_owned()),
        }
        let stored = Stored::deserialize(body).map_err(|error| error.to_string())?;
        let letters = stored.letters.into_iter().map(StoredLetter::into_letter);
        Ok(Self {
            record: stored.record,
            saves: stored.saves,
            fence: stored.fence,
            lease: stored.lease,
            last_command: stored.last_command,
            letters: letters.collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    record: Option<Value>,
    saves: u64,
    fence: u64,
    lease: Option<Lease>,
    last_command: u64,
    letters: Vec<StoredLetter>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredLetter {
    number: u64,
    command: String,
    seen: Option<Seen>,
    by: String,
    at: Timestamp,
}

impl StoredLetter {
    fn of(letter: &Letter) -> Self {
        let Posted {
            number,
            command,
            seen,
        } = letter.posted;
        Self {
            number,
            command: command.name().to_owned(),
            seen,
            by: letter.by.clone(),
            at: letter.at,
        }
    }

    fn into_letter(self) -> Result<Letter, String> {
        let command = Command::named(&self.command);
        let command = command.ok_or_else(|| format!("no command is called `{}`", self.command))?;
        Ok(Letter {
            posted: Posted {
                number: self.number,
                command,
                seen: self.seen,
            },
            by: self.by,
            at: self.at,
        })
    }
}
