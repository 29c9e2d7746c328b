//! What Flagger asks about a canary, and what it is answered.
//!
//! Flagger calls a hook and goes by the status alone: up to 202 is yes, a 4xx is no and its line of text is shown to people, a 5xx is
//! tried again. The body has no word of which hook it is, and its checksum is that of the canary's spec: a version that is tried again
//! has the same one. So a run belongs to an *attempt* at a version. At most one attempt is open, and any call may be lost, or late:
//!
//! - **It opens** with the first of `pre-rollout`, `rollout` and `confirm-traffic-increase` about a version that none is open at.
//!   One that is open at another version is over by that. But a version that an open attempt has followed upon is begun again by
//!   `pre-rollout` alone, for that is how Flagger goes back to it: anything else about it is late and is refused.
//! - **It closes** with `post-rollout`, or an event in a phase in which Flagger works on no version (`Failed` comes just before
//!   `post-rollout`), where these have its checksum. Whatever has another changes nothing.
//! - **Where both were lost** `confirm-rollout` closes it: Flagger asks that between two rollouts only, with the checksum of the one
//!   before. So does another `pre-rollout` of the same version once traffic flows: Flagger asks that before traffic only. Where no
//!   increase was allowed (A/B, blue/green) only if a promotion was, or the run is Failed or Error: with `iterations: 1` every refused
//!   promotion has Flagger begin with `pre-rollout` again, in the same attempt, and whatever its run has come to still holds.
//! - **The yes to the first `confirm-traffic-increase`** may be lost, too, and nothing can be measured then. `pre-rollout` shows it, or
//!   the event with which Flagger begins a round without traffic; without either hook nothing would. More calls of the same kind show
//!   nothing: a Canary need not have another hook, and would get all of the traffic unjudged.
//! - `rollback`, which Flagger asks before anything else of an attempt, and `confirm-promotion` are about the open attempt at their
//!   version, and no about anything else.
//!
//! An attempt is judged with the arguments that it was begun with, and the template's defaults. A call that gives others is another
//! judge's, or comes of a Canary that was edited meanwhile: where its answer would move traffic it is refused.
//!
//! ```text
//! Call ──┐
//! Record ┼──▶ decide ──▶ Answer, Record', Effects
//! RunView┘
//! ```
//!
//! Whoever calls [`decide`] performs what it says in this order: [`Decision::ends`], save the record, [`Decision::effects`], answer.
//! A crash in between loses nothing, since the next call decides the same again; every effect is harmless when it is done twice.

mod answer;
mod asked;
mod call;
mod decide;
mod form;
mod hooks;
mod record;
mod standing;
mod start;
mod view;

pub use self::answer::Answer;
pub use self::call::{CLUSTER_SCOPE, Call, CallError, Hook, TemplateName, Token};
pub use self::decide::{Decision, Effect, decide, refuse};
pub use self::form::FormError;
pub use self::record::{Attempt, Entry, Left, Record};
pub use self::standing::Standing;
pub use self::start::{Start, counted_as};
pub use self::view::RunView;
