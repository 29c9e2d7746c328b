//! How a stepper comes to hold a rollout: by the record that it finds, or by giving back one that the service has lost.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::StepperError;
use super::play::{Halt, Play};
use super::service::{ServiceError, Sheet};
use crate::domain::rollout::{Difference, Event, Rollout, step};
use crate::ports::Observed;

/// For how long after its last answer a service cannot have given the lease to anybody else: as long as one lasts.
const A_LEASE: Duration = Duration::from_secs(30);

impl Play<'_> {
    /// Reads the record, takes in what happened meanwhile, and saves that.
    pub(super) async fn take_over(&mut self, blind_since: Option<Timestamp>) -> Result<(), Halt> {
        let stepper = self.stepper;
        let sheet = match stepper.service.read().await {
            Err(ServiceError::Gone(why)) => return Err(StepperError::Lost(why).into()),
            read => read?,
        };
        let read = sheet.record.as_ref().map(Rollout::from_record);
        let read = read.transpose().map_err(StepperError::from)?;
        let rollout = self.catch_up(read.as_ref(), &sheet, blind_since)?;
        let is_changed = read.as_ref() != Some(&rollout);
        self.saved.clone_from(&sheet.tag);
        if read.is_some() {
            self.rollout = read;
        }
        if is_changed {
            self.save(rollout).await?;
        }
        self.kept.clear();
        self.hear_of(&sheet)?;
        self.listen(Duration::ZERO);
        self.tasks.keep(&stepper.service, self.fence);
        self.tasks.drop_looks();
        self.act();
        Ok(())
    }

    /// What has become of the record that was `read` off `sheet`, by all that happened since it was saved. Where the service has none,
    /// it is the one that it has lost, or the first.
    fn catch_up(
        &self,
        read: Option<&Rollout>,
        sheet: &Sheet,
        blind_since: Option<Timestamp>,
    ) -> Result<Rollout, StepperError> {
        let now = self.stepper.clock.now();
        let orders = &self.stepper.orders;
        let mut rollout = match read.or(self.rollout.as_ref()) {
            Some(rollout) => rollout.clone(),
            None => orders.first(now).ok_or(StepperError::NothingToDo)?,
        };
        let version = orders.version.as_ref().unwrap_or(&rollout.revision.version);
        let spec = orders.spec.as_ref().unwrap_or(&rollout.spec);
        let (version, spec) = (version.clone(), Arc::clone(spec));
        // Before anything of the new document counts.
        if self.rollout.is_none()
            && rollout.has_traffic()
            && rollout.spec.istio != spec.istio
            && !orders.takes_routes
        {
            let weight = rollout.routed.max(rollout.weight);
            return Err(StepperError::Elsewhere { weight });
        }
        let feed = |rollout: &mut Rollout, event| {
            *rollout = step(rollout.clone(), event, now).0;
        };

        if read.is_none() && self.rollout.is_some() {
            feed(&mut rollout, Event::Restored);
        }
        if let Some(since) = blind_since {
            feed(&mut rollout, Event::Blind { since });
        }
        feed(&mut rollout, Event::TakenOver(orders.settings.clone()));
        feed(&mut rollout, Event::Sighted);
        for event in &self.kept {
            feed(&mut rollout, event.clone());
        }
        let begun = Event::Begun {
            spec: Arc::clone(&spec),
            version: version.clone(),
        };
        // A retry takes what the document says now; another version is not for the commands.
        if rollout.compare(&spec, &version) == Ok(Difference::None) {
            feed(&mut rollout, begun.clone());
        }
        for letter in &sheet.waiting {
            // A try of the hook that had not begun when it was said has not begun since: nobody stepped.
            let is_idle = rollout.promotion.waits(letter.at) && !self.tasks.is_promoting();
            let moment = if is_idle { letter.at } else { now };
            rollout = step(rollout, Event::Command(letter.posted), moment).0;
        }
        // Whoever wants something that is not for now is told so, and nothing is done for anybody else.
        if self.rollout.is_none()
            && let Err(why) = rollout.compare(&spec, &version)
        {
            let version = version.name;
            return Err(StepperError::Refused { version, why });
        }
        feed(&mut rollout, begun);
        Ok(rollout)
    }

    /// Sees to a lease that the service knows no more, which it says in the words `why`.
    ///
    /// One that knows nothing of the rollout at all has lost what it kept. It gets that back, under a new lease, from whoever stepped the
    /// rollout last: whoever finds its own number in the routes, or has heard of the service since no lease could have ended. Any other
    /// lease is another stepper's. Where the service is away once more, that is for whoever reads the record next to find out.
    pub(super) async fn put_back(&mut self, why: String) -> Result<(), StepperError> {
        let stepper = self.stepper;
        if self.rollout.is_none() {
            return Err(StepperError::Lost(why));
        }
        match stepper.service.read().await {
            Err(ServiceError::Gone(_)) => {}
            Err(ServiceError::Away(_)) => return Ok(()),
            Ok(_) | Err(_) => return Err(StepperError::Lost(why)),
        }
        let forgotten = |why: String| Err(StepperError::Forgotten(why));
        match stepper.router.observe().await {
            Ok(Observed {
                fence: Some(found), ..
            }) if found > self.fence => {
                return forgotten(format!(
                    "the routes have the number {found} of a later lease, and ours is {}",
                    self.fence
                ));
            }
            Ok(Observed { fence: Some(_), .. }) => {}
            Ok(Observed { fence: None, .. }) => {
                let silence = stepper.clock.now().duration_since(self.sighted_at);
                let silence = Duration::try_from(silence).unwrap_or_default();
                if silence > stepper.clock.lasting(A_LEASE) {
                    return forgotten(format!(
                        "it was last seen at {}, and the router cannot tell whether another stepper was at work since",
                        self.sighted_at.strftime("%H:%M:%SZ")
                    ));
                }
            }
            Err(error) => return forgotten(format!("and the routes cannot be read: {error}")),
        }
        let lease = match stepper.service.take(&stepper.orders.holder).await {
            Ok(lease) => lease,
            Err(ServiceError::Away(_)) => return Ok(()),
            Err(error) => return Err(StepperError::Lost(error.to_string())),
        };
        if lease.fence <= self.fence {
            return forgotten(format!(
                "its new lease has the number {}, and the one before had {}: are there two clocks?",
                lease.fence, self.fence
            ));
        }
        info!(
            lease.fence,
            "the service had lost this rollout: it gets it back, under the lease {}", lease.fence
        );
        self.fence = lease.fence;
        if let Err(error) = stepper.service.restore().await {
            // The analysis that misses it says so.
            warn!(%error, "not all that the rollout needs could be given back");
        }
        Ok(())
    }
}
