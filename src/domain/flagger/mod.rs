//! What Flagger asks about a canary, and what it is answered.
//!
//! Flagger calls a hook and goes by the status alone: up to 202 is yes, a 4xx is no and its line of text is shown to people, a 5xx is
//! tried again. The body has no word of which hook it is, and its checksum is that of the canary's spec: a version that is tried again
//! has the same one. So a run belongs to an *attempt* at a version, which the first hook of a round opens and `post-rollout` closes.
//!
//! ```text
//! Call ──┐
//! Record ┼──▶ decide ──▶ Answer, Record', Effects
//! RunView┘
//! ```
//!
//! Whoever calls [`decide`] performs what it says in this order: [`Decision::ends`], save the record, [`Decision::effects`], answer.
//! A crash in between loses nothing, since the next call decides the same again; every effect is harmless when it is done twice.

mod call;
mod decide;
mod form;
mod record;
mod view;

pub use self::call::{Call, CallError, Hook, TemplateName, Token};
pub use self::decide::{Answer, Decision, Effect, Start, decide, refuse};
pub use self::form::FormError;
pub use self::record::{Attempt, End, Entry, Record};
pub use self::view::RunView;
