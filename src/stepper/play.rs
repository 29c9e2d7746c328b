//! One stepper's hold on a rollout, once it has taken it over: hear, step, save, act.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info};

use super::dark::{ABORT_WITHIN, Dark};
use super::scene::{Away, Scene};
use super::service::{Look, ServiceError, Sheet};
use super::tasks::{Report, Scope, Seen, Tasks};
use super::{Ended, OnInterrupt, Stepper, StepperError, interrupted};
use crate::domain::rollout::desk::Letter;
use crate::domain::rollout::{
    AnalysisKey, Effect, Event, Outcome, Promotion, Rollout, Weight, step,
};
use crate::domain::run::RunId;
use crate::ports::{Observed, RouterError};

/// The wait before the service is asked for news again after it could not tell any, in real time.
const NEWS_RETRY: Duration = Duration::from_secs(1);

/// What a stepper holds.
pub(super) struct Play<'s> {
    pub(super) stepper: &'s Stepper,
    pub(super) fence: u64,
    pub(super) tasks: Tasks,
    /// When the service last answered.
    pub(super) sighted_at: Timestamp,
    /// What came back that is still to be fed in: what the service was away for.
    pub(super) kept: Vec<Event>,
    /// The rollout as it was last saved; `None`: it was not read yet.
    pub(super) rollout: Option<Rollout>,
    /// The tag that the next save follows.
    pub(super) saved: String,
    /// The tag of what was heard last.
    heard: String,
    /// Until when an abort may take that an interrupt asked for; `None`: there was none.
    pub(super) gives_up_at: Option<Instant>,
    /// The runs that were looked at.
    looks: HashMap<RunId, Seen>,
    /// What people want, as far as it was heard.
    posted: Vec<Letter>,
    /// Why the traffic could not be looked at last, where somebody has to mend that: the weight is set again once for each such reason.
    odd: Option<String>,
}

/// Why a rollout in sight is not played on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The service is out of sight.
    Away(String),
    /// What was saved is not known: it has to be read again.
    Again,
    /// It must not be touched any more.
    Stop(StepperError),
}

impl From<StepperError> for Halt {
    fn from(error: StepperError) -> Self {
        Self::Stop(error)
    }
}

impl From<ServiceError> for Halt {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Away(why) => Self::Away(why),
            ServiceError::Overtaken(_) => Self::Again,
            ServiceError::Lost(why) | ServiceError::Held(why) => {
                Self::Stop(StepperError::Lost(why))
            }
            ServiceError::Gone(why) | ServiceError::Refused(why) => {
                Self::Stop(StepperError::Service(why))
            }
        }
    }
}

impl<'s> Play<'s> {
    pub(super) fn new(stepper: &'s Stepper, fence: u64) -> Self {
        Self {
            stepper,
            fence,
            tasks: Tasks::default(),
            sighted_at: stepper.clock.now(),
            kept: Vec::new(),
            rollout: None,
            saved: String::new(),
            heard: String::new(),
            gives_up_at: None,
            looks: HashMap::new(),
            posted: Vec::new(),
            odd: None,
        }
    }

    /// Plays until there is nothing more to do, until it is interrupted, or until it must not go on.
    pub(super) async fn run(
        &mut self,
        interrupts: &mut mpsc::Receiver<()>,
    ) -> Result<Ended, StepperError> {
        let mut blind_since = None;
        loop {
            let halt = match self.take_over(blind_since).await {
                Ok(()) => {
                    blind_since = None;
                    match self.in_sight(interrupts).await {
                        Ok(ended) => return Ok(ended),
                        Err(halt) => halt,
                    }
                }
                Err(halt) => halt,
            };
            match halt {
                Halt::Again => debug!("the record is read again"),
                Halt::Stop(StepperError::Lost(why)) => self.put_back(why).await?,
                Halt::Stop(error) => return Err(error),
                Halt::Away(why) => {
                    let since = *blind_since.get_or_insert(self.sighted_at);
                    info!(%why, "the service is away: the weight is held");
                    match self.in_the_dark(Away { since, why }, interrupts).await {
                        Ok(Dark::Interrupted) => return Ok(Ended::Held),
                        Ok(Dark::Aborted) => return Ok(Ended::Over(Outcome::Aborted)),
                        Ok(Dark::Over) => info!("the service is back"),
                        Err(StepperError::Lost(why)) => self.put_back(why).await?,
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Hears, steps, saves and acts while the service answers.
    async fn in_sight(&mut self, interrupts: &mut mpsc::Receiver<()>) -> Result<Ended, Halt> {
        loop {
            if let Some(outcome) = self.outcome() {
                return Ok(Ended::Over(outcome));
            }
            tokio::select! {
                biased;
                () = interrupted(interrupts) => {
                    if self.stepper.orders.on_interrupt == OnInterrupt::Hold {
                        return Ok(Ended::Held);
                    }
                    if self.gives_up_at.is_some() {
                        return self.give_up();
                    }
                    self.gives_up_at = Some(Instant::now() + ABORT_WITHIN);
                    self.apply([Event::Interrupted]).await?;
                    let rollout = self.rollout.as_ref();
                    if rollout.is_none_or(|rollout| rollout.aborted.is_none()) {
                        return match rollout.and_then(promoting) {
                            Some(error) => Err(error.into()),
                            None => Ok(Ended::Held),
                        };
                    }
                }
                () = reached(self.gives_up_at) => return self.give_up(),
                report = self.tasks.next() => self.hear(report).await?,
            }
        }
    }

    /// How it ends where an abort takes too long that was saved.
    fn give_up(&self) -> Result<Ended, Halt> {
        let rollout = self.rollout.as_ref();
        if rollout.is_some_and(|rollout| rollout.is_at(Weight::NONE)) {
            return Ok(Ended::Over(Outcome::Aborted));
        }
        let trouble = rollout.and_then(|rollout| rollout.trouble.as_ref());
        let why = trouble.map_or("the router does not answer", |it| &it.message);
        Err(Halt::Stop(StepperError::NotAborted(why.to_owned())))
    }

    async fn hear(&mut self, report: Report) -> Result<(), Halt> {
        match report {
            Report::Did { effect, event } => {
                self.tasks.succeeded(&effect);
                self.apply([event]).await
            }
            Report::Looked { effect, look } => {
                self.tasks.succeeded(&effect);
                self.sighted();
                let event = self.looked(*look);
                self.apply([event]).await
            }
            Report::Ended { effect, key, look } => {
                self.tasks.succeeded(&effect);
                let seen = look.map(|look| self.looked(*look));
                let ended = Event::AnalysisEnded { key };
                self.apply(seen.into_iter().chain([ended])).await
            }
            Report::Trouble { effect, why, after } => {
                debug!(?effect, %why, "is tried again");
                let event = match &effect {
                    Effect::SetWeight { .. } => Some(Event::Unroutable { message: why }),
                    Effect::StartAnalysis { key } => Some(Event::AnalysisOutOfSight {
                        key: key.clone(),
                        message: why,
                    }),
                    Effect::Watch { run } => self
                        .key_of(run)
                        .map(|key| Event::AnalysisOutOfSight { key, message: why }),
                    Effect::EndAnalysis { .. }
                    | Effect::RunHook { .. }
                    | Effect::WakeAt { .. }
                    | Effect::Done { .. } => None,
                };
                self.tasks.retry(effect, after, &self.stepper.clock);
                match event {
                    Some(event) => self.apply([event]).await,
                    None => Ok(()),
                }
            }
            Report::Again(effect) => {
                self.tasks.ended(&effect);
                self.apply([Event::Tick]).await
            }
            Report::Fenced(why) => Err(StepperError::Fenced(why).into()),
            Report::News(Ok(sheet)) => {
                self.sighted();
                let commands = self.hear_of(&sheet)?;
                self.listen(Duration::ZERO);
                self.apply(commands).await
            }
            Report::News(Err(error)) => {
                // Whether it is away is for the lease to find out.
                debug!(%error, "no news");
                self.listen(NEWS_RETRY);
                Ok(())
            }
            Report::Beat(beat) => {
                beat?;
                self.sighted();
                self.tasks.keep(&self.stepper.service, self.fence);
                let rollout = self.rollout.as_ref();
                if rollout.is_some_and(|rollout| rollout.is_at(rollout.weight)) {
                    self.tasks.observe(&self.stepper.router);
                }
                Ok(())
            }
            Report::Observed { shifts, found } => {
                if self.tasks.observed(shifts) {
                    self.observed(found).await?;
                }
                Ok(())
            }
        }
    }

    /// Compares the traffic with what was set last: somebody may have edited the routes.
    async fn observed(&mut self, found: Result<Observed, RouterError>) -> Result<(), Halt> {
        let Some(rollout) = &self.rollout else {
            return Ok(());
        };
        let ours = self.fence;
        let (canary, odd) = match found {
            Ok(Observed {
                fence: Some(found), ..
            }) if found > ours => {
                let why = format!("its lease has the number {found}, and ours {ours}");
                return Err(StepperError::Fenced(why).into());
            }
            // A router that cannot tell.
            Ok(Observed {
                canary: None,
                fence: None,
                ..
            }) => return Ok(()),
            Ok(Observed {
                canary,
                fence,
                lacks_fence,
            }) => {
                if canary == Some(rollout.routed) && fence == Some(ours) && !lacks_fence {
                    self.odd = None;
                    return Ok(());
                }
                (canary, None)
            }
            // Somebody has edited them so that they cannot be told, or cannot be set either: trying to set them shows which.
            Err(error @ (RouterError::Invalid(_) | RouterError::NotFound(_))) => {
                let why = error.to_string();
                if self.odd.as_ref() == Some(&why) {
                    return Ok(());
                }
                (None, Some(why))
            }
            Err(error) => {
                debug!(%error, "the traffic could not be looked at");
                return Ok(());
            }
        };
        info!(?canary, ?odd, "the traffic is not as it was left");
        self.odd = odd;
        self.apply([Event::Displaced { found: canary }]).await
    }

    /// Moves the rollout by what happened, saves it if that changed it, and acts.
    async fn apply(&mut self, events: impl IntoIterator<Item = Event>) -> Result<(), Halt> {
        let Some(before) = &self.rollout else {
            return Ok(());
        };
        let now = self.stepper.clock.now();
        let mut rollout = before.clone();
        let mut kept = Vec::new();
        for event in events {
            if is_unrepeatable(&event) {
                kept.push(event.clone());
            }
            rollout = step(rollout, event, now).0;
        }
        if rollout != *before
            && let Err(halt) = self.save(rollout).await
        {
            self.kept.extend(kept);
            return Err(halt);
        }
        self.act();
        Ok(())
    }

    pub(super) async fn save(&mut self, rollout: Rollout) -> Result<(), Halt> {
        let record = rollout.to_record();
        let service = &self.stepper.service;
        self.saved = service.save(self.fence, &self.saved, &record).await?;
        self.sighted();
        let (phase, message) = rollout.status();
        debug!(rollout.step, %phase, %message, "saved");
        self.rollout = Some(rollout);
        Ok(())
    }

    /// Makes what is under way match what is outstanding, and shows how things are.
    pub(super) fn act(&mut self) {
        let Some(rollout) = &self.rollout else {
            return;
        };
        let effects = rollout.outstanding(self.stepper.clock.now());
        let scope = Scope {
            rollout,
            stepper: self.stepper,
            fence: self.fence,
            looks: &self.looks,
            is_dark: false,
        };
        self.tasks.match_to(&effects, &scope);
        self.show(rollout.clone(), None);
    }

    /// The same for what may be done while the service is away: `rollout` is how it looks without it.
    pub(super) fn act_in_the_dark(&mut self, rollout: &Rollout, effects: &[Effect], away: &Away) {
        let scope = Scope {
            rollout,
            stepper: self.stepper,
            fence: self.fence,
            looks: &self.looks,
            is_dark: true,
        };
        self.tasks.match_to(effects, &scope);
        self.show(rollout.clone(), Some(away.clone()));
    }

    pub(super) fn sighted(&mut self) {
        self.sighted_at = self.stepper.clock.now();
    }

    fn looked(&mut self, look: Look) -> Event {
        let Look { tag, run } = look;
        let event = Event::AnalysisSeen {
            run: run.id.clone(),
            phase: run.phase,
            message: run.message.clone(),
            // Whoever ends an analysis has not said that its version is good.
            evidence: run.has_evidence() && !run.was_terminated(),
        };
        let summary = crate::domain::rollout::RunSummary::of(&run);
        self.looks.insert(run.id, Seen { tag, summary });
        event
    }

    /// What people want by `sheet`, as events.
    pub(super) fn hear_of(&mut self, sheet: &Sheet) -> Result<Vec<Event>, StepperError> {
        if let Some(lease) = sheet.lease.as_ref().filter(|it| it.fence > self.fence) {
            let (holder, fence) = (&lease.holder, lease.fence);
            let why = format!(
                "`{holder}` has the lease {fence}, and ours is {}",
                self.fence
            );
            return Err(StepperError::Lost(why));
        }
        self.heard.clone_from(&sheet.tag);
        self.posted.clone_from(&sheet.waiting);
        let waiting = sheet.waiting.iter();
        Ok(waiting
            .map(|letter| Event::Command(letter.posted))
            .collect())
    }

    pub(super) fn listen(&mut self, after: Duration) {
        let seen = self.heard.clone();
        self.tasks.listen(&self.stepper.service, seen, after);
    }

    fn key_of(&self, run: &RunId) -> Option<AnalysisKey> {
        let mut analyses = self.rollout.as_ref()?.analyses();
        let analysis = analyses.find(|it| it.run.as_ref() == Some(run))?;
        Some(analysis.key.clone())
    }

    fn outcome(&self) -> Option<Outcome> {
        let now = self.stepper.clock.now();
        match self.rollout.as_ref()?.outstanding(now)[..] {
            [Effect::Done { outcome }] => Some(outcome),
            _ => None,
        }
    }

    fn show(&self, rollout: Rollout, away: Option<Away>) {
        let is_of_it = |run: &&Seen| {
            let runs = rollout.earlier.iter().chain(rollout.analyses());
            runs.into_iter()
                .any(|analysis| analysis.run.as_ref() == Some(&run.summary.run))
        };
        let runs = self.looks.values().filter(is_of_it);
        let runs = runs.map(|seen| seen.summary.clone()).collect();
        let taken = rollout.commands_taken;
        let posted = self.posted.iter().filter(|it| it.posted.number > taken);
        self.stepper.show(Scene {
            runs,
            posted: posted.cloned().collect(),
            rollout,
            away,
        });
    }
}

/// Why an interrupt does not abort a rollout whose stable version is being replaced.
pub(super) fn promoting(rollout: &Rollout) -> Option<StepperError> {
    let is_promoting = matches!(rollout.promotion, Promotion::Hook { .. });
    is_promoting.then(|| {
        StepperError::NotAborted(
            "the on-promote hook was making the new version the stable one, and the canary keeps all traffic; run this again to go on"
                .to_owned(),
        )
    })
}

/// Returns at this moment; never, where there is none.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Whether nobody would bring this event again.
pub(super) fn is_unrepeatable(event: &Event) -> bool {
    matches!(event, Event::HookEnded { .. } | Event::Interrupted)
}
