//! What is under way for a rollout: a task for each effect, one that listens for news and one that keeps the lease.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use super::Stepper;
use super::service::{Look, Service, ServiceError, Sheet};
use crate::domain::plan::MetricPlan;
use crate::domain::rollout::desk::Lease;
use crate::domain::rollout::{
    Analysis, AnalysisKey, Effect, Event, HookKey, Rollout, RunSummary, Weight,
};
use crate::domain::run::RunId;
use crate::ports::{Clock, HookCall, Observed, Remedy, RouterError, Shift, TrafficRouter};

/// How often the lease is renewed, in real time: three times while it lasts.
const RENEWAL: Duration = Duration::from_secs(10);

/// The wait before the service is asked again that was away, in real time; doubling up to the longest.
const FIRST_KNOCK: Duration = Duration::from_millis(500);
const LONGEST_KNOCK: Duration = Duration::from_secs(5);

/// The wait before something is tried again, on the clock; doubling up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The longest such wait of a weight: whoever aborts waits for it.
const LONGEST_RETRY_OF_A_WEIGHT: Duration = Duration::from_secs(5);

/// What a task came back with.
#[derive(Debug)]
pub(super) enum Report {
    /// An effect was carried out.
    Did { effect: Effect, event: Event },
    /// A run was looked at.
    Looked { effect: Effect, look: Box<Look> },
    /// An analysis was seen to its end.
    Ended {
        effect: Effect,
        key: AnalysisKey,
        /// What its run has come to, where that could be told.
        look: Option<Box<Look>>,
    },
    /// An effect was not carried out, and can be tried again.
    Trouble {
        effect: Effect,
        why: String,
        /// How long somebody asked to be left alone.
        after: Option<Duration>,
    },
    /// The time to try an effect again has come.
    Again(Effect),
    /// The router has seen a newer lease.
    Fenced(String),
    /// The traffic was looked at, after so many shifts.
    Observed {
        shifts: u64,
        found: Result<Observed, RouterError>,
    },
    /// What the service knows now.
    News(Result<Sheet, ServiceError>),
    /// What became of the lease.
    Beat(Result<Lease, ServiceError>),
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    set: JoinSet<Report>,
    doing: HashMap<Effect, Doing>,
    tries: HashMap<Effect, u32>,
    news: Option<AbortHandle>,
    beat: Option<AbortHandle>,
    /// A look at the traffic, which nothing waits for.
    look: Option<AbortHandle>,
    /// How many shifts were begun: what was seen before the last one tells nothing.
    shifts: u64,
    /// How often the service was asked in vain, one time after the other.
    knocks: u32,
}

/// What a task is begun for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) rollout: &'a Rollout,
    pub(super) stepper: &'a Stepper,
    pub(super) fence: u64,
    /// The runs that were looked at, as they were last seen.
    pub(super) looks: &'a HashMap<RunId, Seen>,
    /// Whether the service is out of sight.
    pub(super) is_dark: bool,
}

/// A run as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) tag: String,
    pub(super) summary: RunSummary,
}

#[derive(Debug)]
struct Doing {
    task: AbortHandle,
    /// Whether it is as well not done to its end: it only waits.
    may_drop: bool,
}

impl Tasks {
    /// The next report; never, while nothing is under way.
    pub(super) async fn next(&mut self) -> Report {
        loop {
            match self.set.join_next().await {
                None => std::future::pending::<()>().await,
                Some(Ok(report)) => return report,
                Some(Err(error)) if error.is_cancelled() => {}
                // A fault of this program: the record is as good as after any other death.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    /// Makes what is under way match `effects`: begins what is not being done, drops what only waits and is not listed any more.
    pub(super) fn match_to(&mut self, effects: &[Effect], scope: &Scope<'_>) {
        self.drop_but(|effect, doing| !doing.may_drop || effects.contains(effect));
        self.tries.retain(|effect, _| effects.contains(effect));
        for effect in effects {
            if !self.doing.contains_key(effect) && !self.has_to_wait(effect) {
                self.begin(effect, scope);
            }
        }
    }

    /// Drops the looks at runs that wait for a change: they are to be looked at as they are.
    pub(super) fn drop_looks(&mut self) {
        self.drop_but(|effect, _| !matches!(effect, Effect::Watch { .. }));
    }

    /// Drops everything but what changes the world at this moment.
    pub(super) fn drop_waiting(&mut self) {
        let listeners = [self.news.take(), self.beat.take(), self.look.take()];
        for listener in listeners.into_iter().flatten() {
            listener.abort();
        }
        self.drop_but(|effect, doing| {
            !doing.may_drop && matches!(effect, Effect::SetWeight { .. } | Effect::RunHook { .. })
        });
        self.tries.clear();
    }

    fn drop_but(&mut self, is_kept: impl Fn(&Effect, &Doing) -> bool) {
        self.doing.retain(|effect, doing| {
            let is_kept = is_kept(effect, doing);
            if !is_kept {
                doing.task.abort();
            }
            is_kept
        });
    }

    /// Whether a try of the hook is under way.
    pub(super) fn is_promoting(&self) -> bool {
        let mut doing = self.doing.keys();
        doing.any(|it| matches!(it, Effect::RunHook { .. }))
    }

    /// An effect is not being done any more.
    pub(super) fn ended(&mut self, effect: &Effect) {
        self.doing.remove(effect);
    }

    /// An effect was carried out.
    pub(super) fn succeeded(&mut self, effect: &Effect) {
        self.doing.remove(effect);
        self.tries.remove(effect);
    }

    /// Tries an effect again in a while.
    pub(super) fn retry(
        &mut self,
        effect: Effect,
        after: Option<Duration>,
        clock: &Arc<dyn Clock>,
    ) {
        let tries = self.tries.entry(effect.clone()).or_default();
        let longest = match effect {
            Effect::SetWeight { .. } => LONGEST_RETRY_OF_A_WEIGHT,
            _ => LONGEST_RETRY,
        };
        let wait = doubled(FIRST_RETRY, *tries, longest);
        *tries = tries.saturating_add(1);
        let wait = after.map_or(wait, |after| after.max(wait));
        let (clock, again) = (Arc::clone(clock), effect.clone());
        let task = self.set.spawn(async move {
            clock.sleep(wait).await;
            Report::Again(again)
        });
        let may_drop = true;
        self.doing.insert(effect, Doing { task, may_drop });
    }

    /// Listens for what is another state than the one with the tag `seen`, after a while.
    pub(super) fn listen(&mut self, service: &Arc<dyn Service>, seen: String, after: Duration) {
        let service = Arc::clone(service);
        let before = self.news.replace(self.set.spawn(async move {
            tokio::time::sleep(after).await;
            Report::News(service.news(&seen).await)
        }));
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Keeps the lease for longer, in time before it ends.
    pub(super) fn keep(&mut self, service: &Arc<dyn Service>, fence: u64) {
        self.knocks = 0;
        self.renew_after(RENEWAL, service, fence);
    }

    /// Looks at the traffic, unless that is being done, or the traffic is being moved.
    pub(super) fn observe(&mut self, router: &Arc<dyn TrafficRouter>) {
        if self.look.is_some() || self.is_shifting() {
            return;
        }
        let (router, shifts) = (Arc::clone(router), self.shifts);
        self.look = Some(self.set.spawn(async move {
            let found = router.observe().await;
            Report::Observed { shifts, found }
        }));
    }

    /// Whether a look at the traffic still tells how it is, as no shift was begun since.
    pub(super) fn observed(&mut self, shifts: u64) -> bool {
        if shifts != self.shifts {
            return false;
        }
        self.look = None;
        !self.is_shifting()
    }

    fn is_shifting(&self) -> bool {
        let mut doing = self.doing.keys();
        doing.any(|it| matches!(it, Effect::SetWeight { .. }))
    }

    /// Asks the service whether it is back, after a while.
    pub(super) fn knock(&mut self, service: &Arc<dyn Service>, fence: u64) {
        let wait = doubled(FIRST_KNOCK, self.knocks, LONGEST_KNOCK);
        self.knocks = self.knocks.saturating_add(1);
        self.renew_after(wait, service, fence);
    }

    fn renew_after(&mut self, wait: Duration, service: &Arc<dyn Service>, fence: u64) {
        let service = Arc::clone(service);
        let before = self.beat.replace(self.set.spawn(async move {
            tokio::time::sleep(wait).await;
            Report::Beat(service.renew(fence).await)
        }));
        if let Some(before) = before {
            before.abort();
        }
    }

    /// One weight at a time; and a run that is being asked for is known before it is ended.
    fn has_to_wait(&self, effect: &Effect) -> bool {
        let mut doing = self.doing.keys();
        match effect {
            Effect::SetWeight { .. } => self.is_shifting(),
            Effect::EndAnalysis { key, run: None } => {
                doing.any(|it| matches!(it, Effect::StartAnalysis { key: of } if of == key))
            }
            Effect::EndAnalysis { run: Some(_), .. }
            | Effect::StartAnalysis { .. }
            | Effect::Watch { .. }
            | Effect::RunHook { .. }
            | Effect::WakeAt { .. }
            | Effect::Done { .. } => false,
        }
    }

    fn begin(&mut self, effect: &Effect, scope: &Scope<'_>) {
        let Scope {
            rollout,
            stepper,
            fence,
            looks,
            is_dark,
        } = *scope;
        let service = Arc::clone(&stepper.service);
        let of = effect.clone();
        let task = match effect.clone() {
            Effect::SetWeight { weight, change } => {
                self.shifts += 1;
                if let Some(look) = self.look.take() {
                    look.abort();
                }
                let is_ended = rollout.is_promoted() || rollout.aborted.is_some();
                let shift = Shift {
                    canary: weight,
                    fence,
                    revision: rollout.revision.version.name.clone(),
                    step: rollout.step,
                    is_unsaved: is_dark,
                    is_last: is_ended && weight == Weight::NONE,
                    change,
                };
                let router = Arc::clone(&stepper.router);
                self.set.spawn(async move {
                    match router.set(&shift).await {
                        Ok(_) => did(of, Event::Routed { weight }),
                        Err(error) => unroutable(of, &error),
                    }
                })
            }
            Effect::StartAnalysis { key } => {
                let rollout = rollout.clone();
                self.set
                    .spawn(async move { start(service.as_ref(), &rollout, key, of).await })
            }
            Effect::Watch { run } => {
                // One that was out of sight is looked at as it is: no change would be waited for.
                let is_new = |it: &Analysis| {
                    it.run.as_ref() == Some(&run) && it.out_of_sight_since.is_some()
                };
                let seen = looks.get(&run).filter(|_| !rollout.analyses().any(is_new));
                let seen = seen.map(|seen| seen.tag.clone());
                self.set.spawn(async move {
                    match service.look(&run, seen.as_deref()).await {
                        Ok(look) => Report::Looked {
                            effect: of,
                            look: Box::new(look),
                        },
                        Err(ServiceError::Gone(_)) => did(of, Event::AnalysisGone { run }),
                        Err(error) => trouble(of, error.to_string()),
                    }
                })
            }
            Effect::EndAnalysis { key, run } => {
                let labels = rollout.labels(&key);
                self.set.spawn(async move {
                    let ended = match run {
                        Some(run) => match end(service.as_ref(), &run).await {
                            Ok(()) => Ok(last_look(service.as_ref(), &run).await),
                            Err(error) => Err(error),
                        },
                        None => end_all(service.as_ref(), &labels).await.map(|()| None),
                    };
                    match ended {
                        Ok(look) => Report::Ended {
                            effect: of,
                            key,
                            look: look.map(Box::new),
                        },
                        Err(error) => trouble(of, error.to_string()),
                    }
                })
            }
            Effect::RunHook { key } => {
                let call = hook_call(rollout, &key, fence);
                let hook = stepper.hook.clone();
                self.set.spawn(async move {
                    let (is_success, output) = match hook {
                        Some(hook) => {
                            let answer = hook.run(&call).await;
                            (answer.is_success, answer.output)
                        }
                        None => (false, "this stepper knows no hook".to_owned()),
                    };
                    did(
                        of,
                        Event::HookEnded {
                            key,
                            is_success,
                            output,
                        },
                    )
                })
            }
            Effect::WakeAt { at } => {
                let clock = Arc::clone(&stepper.clock);
                self.set.spawn(async move {
                    clock.sleep(until(at, clock.now())).await;
                    did(of, Event::Tick)
                })
            }
            // Whoever plays the rollout sees that.
            Effect::Done { .. } => return,
        };
        debug!(?effect, "begun");
        let may_drop = matches!(effect, Effect::Watch { .. } | Effect::WakeAt { .. });
        self.doing.insert(effect.clone(), Doing { task, may_drop });
    }
}

fn did(effect: Effect, event: Event) -> Report {
    Report::Did { effect, event }
}

fn trouble(effect: Effect, why: String) -> Report {
    Report::Trouble {
        effect,
        why,
        after: None,
    }
}

fn unroutable(effect: Effect, error: &RouterError) -> Report {
    if let RouterError::TakenBack(_) = error {
        return did(effect, Event::TakenBack);
    }
    match error.remedy() {
        Remedy::StandDown => Report::Fenced(error.to_string()),
        Remedy::AskPerson | Remedy::TryAgain => Report::Trouble {
            effect,
            why: error.to_string(),
            after: match error {
                RouterError::Unreachable { after, .. } => *after,
                RouterError::Fenced { .. }
                | RouterError::TakenBack(_)
                | RouterError::NotFound(_)
                | RouterError::Invalid(_)
                | RouterError::Forbidden { .. }
                | RouterError::Conflict(_) => None,
            },
        },
    }
}

/// Has the service run an analysis.
async fn start(service: &dyn Service, rollout: &Rollout, key: AnalysisKey, of: Effect) -> Report {
    // It is listed for as long as the rollout wants it.
    let Some(request) = rollout.request(&key) else {
        return did(of, Event::Tick);
    };
    let run = match service.start(&request).await {
        Ok(run) => run,
        Err(ServiceError::Refused(message) | ServiceError::Gone(message)) => {
            return did(of, Event::AnalysisRefused { key, message });
        }
        Err(error) => return trouble(of, error.to_string()),
    };
    let endless = run.plan.metrics.iter().find(|metric| metric.is_endless());
    if let Some(MetricPlan { name, .. }) = endless.filter(|_| request.must_end) {
        if let Err(error) = end(service, &run.id).await {
            return trouble(of, error.to_string());
        }
        let message = format!(
            "metric `{name}` has no count: an analysis that is a step has to end by itself"
        );
        return did(of, Event::AnalysisRefused { key, message });
    }
    did(of, Event::AnalysisStarted { key, run: run.id })
}

/// Has a run end; one that is over or gone has.
async fn end(service: &dyn Service, run: &RunId) -> Result<(), ServiceError> {
    match service.terminate(run).await {
        Err(error @ ServiceError::Away(_)) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a run that was told to end has come to: it takes a moment. `None` where that cannot be told.
async fn last_look(service: &dyn Service, run: &RunId) -> Option<Look> {
    let look = service.look(run, None).await.ok()?;
    if look.run.phase.is_over() {
        return Some(look);
    }
    service.look(run, Some(&look.tag)).await.ok()
}

async fn end_all(
    service: &dyn Service,
    labels: &BTreeMap<String, String>,
) -> Result<(), ServiceError> {
    for run in service.find(labels).await? {
        end(service, &run).await?;
    }
    Ok(())
}

/// The key leaves out which try it is: each one is to do the same.
fn hook_call(rollout: &Rollout, key: &HookKey, fence: u64) -> HookCall {
    let Rollout {
        namespace,
        name,
        revision,
        ..
    } = rollout;
    let begun_at = revision.begun_at.as_millisecond();
    HookCall {
        key: format!(
            "rollout/{namespace}/{name}/{}/{begun_at}/{}/promote",
            key.revision, key.attempt
        ),
        namespace: namespace.clone(),
        rollout: name.clone(),
        version: revision.version.name.clone(),
        image: revision.version.image.clone(),
        revision: key.revision,
        number: key.number,
        fence,
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}
