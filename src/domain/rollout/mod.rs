//! The thin rollout stepper's decisions: an Argo `Rollout` read, a state machine that plays its canary steps, and how it looks.
//!
//! [`step`] takes a rollout, an event and the time, and gives the rollout as it is then and *all* that is to be done about it.
//! The outcomes are Argo's (`tests/data/conformance/rollout-steps.md`), with these differences, since nothing here moves workloads:
//!
//! - A stable version is assumed to exist. Whoever begins with [`Rollout::new`] and a `stable` equal to the version says that there was none.
//! - Evidence is asked for before the end. Without a good measurement of everything that counts, the analysis beside the steps
//!   holds the rollout where it is ([`PauseReason::NoEvidence`]), and so does an analysis that is a step. It goes on by itself when
//!   the evidence comes, or when somebody promotes it all the same.
//! - After the last step the canary keeps all traffic until it *is* the stable version: the hook says so by its success, or somebody
//!   does with `promote` ([`Command::Confirm`]). Only then do the weights return. Until then no other version is begun ([`Rollout::compare`]).
//! - The analysis beside the steps begins with the canary's first traffic, also where its step comes before: what is measured until
//!   then is no evidence. Only where all steps keep the weight at 0 (a dark launch) it begins with its step.
//! - An inconclusive analysis freezes the canary's traffic: a pause may still run out, but no further weight is set.
//!
//! # How a shell drives it
//!
//! The service keeps the record ([`Rollout::to_record`]), the commands that people posted, and a lease ([`desk`]). A stepper's loop is:
//!
//! 1. Take the lease. Read the record and [`Rollout::from_record`]; feed [`Event::TakenOver`], then each posted command,
//!    then [`Event::Begun`] if it was started for a version of its own (harmless if that is being rolled out already: then it goes
//!    before the commands, so that a retry takes what the document says now).
//! 2. Wait for an event: a task came back, the moment of a [`Effect::WakeAt`], a command.
//! 3. [`step`]. *Save the new record under the lease, by compare-and-set, before anything else*; commands up to
//!    [`Rollout::commands_taken`] leave the inbox with it.
//! 4. Make the running tasks match the effects: begin what is listed and not being done; drop a [`Effect::Watch`] or
//!    [`Effect::WakeAt`] that is not listed any more. Whatever else is under way is waited for, one weight at a time, and its
//!    answer fed in: the rollout knows what it no longer needs. Then go to 2, or stop at [`Effect::Done`].
//!
//! **A crash anywhere loses nothing.** The effects follow from the saved record, so whoever takes over finds them again in
//! [`Rollout::outstanding`]; and every event can be had a second time: weights are set again (`is_routed` is false after a
//! takeover, so no step ends on what a dead stepper believed), a run is looked at before anything follows from it
//! (`out_of_sight_since`, so no step begins on what it was when somebody last looked), an analysis is asked for under the same idempotency key, the hook is
//! run again under the same [`HookKey`], commands stay posted until a saved record counts them. A step that was not saved was not
//! taken: there is nothing to undo, because nothing was done before the save.
//!
//! **A save that fails**: with the lease lost, touch nothing more. Where the service does not answer, nobody knows whether it was
//! saved: keep the rollout as it was *before* the event, hold the weight, and read the record again when the service is back, as in 1.
//!
//! **Others at work**: whoever looks at the traffic between two weights and finds it otherwise than it was set feeds [`Event::Displaced`],
//! unless a weight is being set at that moment: then the same weight is listed again, and the history says what was found. A service that
//! has lost the record gets it back, under a new lease, from whoever stepped last: feed [`Event::Restored`] to what that one has.
//!
//! **Out of sight**: while the service is away feed [`Event::Blind`], with the moment of its last answer, to the rollout that was saved
//! last, and carry out nothing of it but a [`Effect::SetWeight`] of [`Weight::NONE`]. That is the dead-man's limit, and the only thing
//! that is ever done unsaved: it takes traffic away and never gives any. Feed the same event to the record that is read when the
//! service is back, before [`Event::TakenOver`] and [`Event::Sighted`], so that the abort is kept. A stepper that dies before that leaves
//! the record as it was. But the router has marked what it did, and gives whoever takes over [`Event::TakenBack`] instead of the weight.
//!
//! ```
//! use std::sync::Arc;
//! use skygate::domain::rollout::{Effect, Event, Rollout, RolloutSpec, Settings, Version, Weight, step};
//!
//! let document = serde_json::json!({
//!     "apiVersion": "argoproj.io/v1alpha1",
//!     "kind": "Rollout",
//!     "metadata": {"name": "reviews"},
//!     "spec": {"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {"duration": "10m"}}]}}},
//! });
//! let now = "2026-11-23T10:00:00Z".parse().unwrap();
//! let spec = Arc::new(RolloutSpec::read(&document).unwrap());
//! let rollout = Rollout::new("bookinfo", spec, Version::named("v2"), None, Settings::default(), now);
//!
//! let (rollout, effects) = step(rollout, Event::Tick, now);
//! let weight = Weight::new(20).unwrap();
//! assert_eq!(effects, [Effect::SetWeight { weight, change: 1 }]);
//!
//! let (rollout, _) = step(rollout, Event::Routed { weight }, now);
//! assert_eq!(rollout.status().1, "CanaryPauseStep");
//! ```

mod arguments;
mod command;
pub mod desk;
mod displaced;
mod event;
mod field_path;
mod machine;
mod outstanding;
mod record;
mod revise;
mod room;
mod settle;
mod spec;
mod state;
mod status;
mod stored;
mod summary;
mod tree;

pub use super::routes::Weight;
pub use command::{Command, Posted, Refusal, Seen};
pub use event::{Effect, Event, HookKey, Outcome};
pub use field_path::{FieldPathError, value_at};
pub use machine::step;
pub use outstanding::AnalysisRequest;
pub use record::{RECORD_VERSION, RecordError};
pub use revise::Difference;
pub use room::LONGEST_DOCUMENT;
pub use spec::{AnalysisSite, Background, IstioRouting, KIND, RolloutSpec, Step};
pub use state::{
    Aborted, Analysis, AnalysisKey, AnalysisKind, HookPolicy, Pause, PauseReason, Promotion,
    Revision, Rollout, Settings, Supplied, Transition, Trouble, Version, Waived,
};
pub use status::RolloutPhase;
pub use summary::{Latest, MetricSummary, RunSummary};
pub use tree::{Around, Stepping, draw};
