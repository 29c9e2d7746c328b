//! Reads the fields of one rendered metric to the strict level.

use std::sync::Arc;
use std::time::Duration;

use super::super::args::Masker;
use super::super::condition::{Condition, ConditionError};
use super::super::duration::{DURATION_HINT, GoDuration};
use super::super::fault::{Fault, listed, shown};
use super::super::nearest::nearest;
use super::super::spec::IntOrString;
use super::make::given;

/// A part of a metric and where its faults go. What it cannot read is `None` and a fault; secrets never reach a message.
pub(super) struct Strict<'a> {
    pub(super) at: String,
    pub(super) masker: &'a Masker,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Strict<'_> {
    /// The same for the part `field`.
    pub(super) fn part(&mut self, field: &str) -> Strict<'_> {
        Strict {
            at: self.path(field),
            masker: self.masker,
            faults: self.faults,
        }
    }

    pub(super) fn path(&self, field: &str) -> String {
        if field.is_empty() {
            self.at.clone()
        } else {
            format!("{}.{field}", self.at)
        }
    }

    /// `text` as a message may show it. It is masked before it is cut: half a secret is one too.
    pub(super) fn shown(&self, text: &str) -> String {
        shown(&self.masker.mask(text))
    }

    /// Whether `text` holds a secret: what is quoted of it may then be a part of one, which nothing would mask.
    pub(super) fn holds_secret(&self, text: &str) -> bool {
        self.masker.finds_in(text)
    }

    pub(super) fn fault(&mut self, field: &str, message: impl Into<String>) {
        let path = self.path(field);
        self.faults.push(Fault::new(path, message));
    }

    pub(super) fn fault_with_hint(&mut self, field: &str, message: impl Into<String>, hint: &str) {
        let path = self.path(field);
        self.faults.push(Fault::new(path, message).hint(hint));
    }

    pub(super) fn add(&mut self, field: &str, faults: Vec<Fault>) {
        let path = self.path(field);
        self.faults
            .extend(faults.into_iter().map(|fault| fault.under(&path)));
    }

    /// A duration that is not negative.
    pub(super) fn duration(&mut self, field: &str, text: &str) -> Option<Duration> {
        match GoDuration::parse(text) {
            Ok(duration) => {
                let unsigned = duration.to_std();
                if unsigned.is_none() {
                    let text = self.shown(text);
                    self.fault(field, format!("must not be negative, found {text}"));
                }
                unsigned
            }
            Err(error) => {
                let masked = self.masker.mask(text);
                let message = if masked == text {
                    error.to_string()
                } else {
                    format!("invalid duration {}", shown(&masked))
                };
                self.fault_with_hint(field, message, DURATION_HINT);
                None
            }
        }
    }

    /// A duration above zero.
    pub(super) fn positive(&mut self, field: &str, text: &str) -> Option<Duration> {
        let duration = self.duration(field, text)?;
        if duration.is_zero() {
            self.fault(field, "must be longer than nothing");
            return None;
        }
        Some(duration)
    }

    /// A whole number from `least` on; `default` where the field is absent.
    pub(super) fn limit(
        &mut self,
        field: &str,
        number: Option<&IntOrString>,
        default: i64,
        least: i64,
    ) -> Option<i64> {
        let Some(number) = number else {
            return Some(default);
        };
        match number.strict() {
            Ok(number) if number >= least => Some(number),
            Ok(number) => {
                self.fault(field, format!("must be at least {least}, found `{number}`"));
                None
            }
            Err(text) => {
                let text = self.shown(text);
                self.fault_with_hint(
                    field,
                    format!("expected a whole number, found {text}"),
                    "Argo Rollouts would silently take it for 0",
                );
                None
            }
        }
    }

    /// One of a few words; `default` where the field is absent or empty.
    pub(super) fn word<T: Copy>(
        &mut self,
        field: &str,
        text: Option<&str>,
        default: T,
        words: &[(&str, T)],
    ) -> Option<T> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Some(default);
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let message = format!(
            "expected one of {}, found {}",
            listed(names()),
            self.shown(text)
        );
        match nearest(text, names()) {
            Some(meant) => {
                self.fault_with_hint(field, message, &format!("did you mean {}?", shown(meant)));
            }
            None => self.fault(field, message),
        }
        None
    }

    /// A condition as `parse` reads it. `Some(None)`: there is none; `None`: it cannot be parsed.
    #[expect(
        clippy::option_option,
        reason = "absent and wrong are two different things, and both are over in a line"
    )]
    pub(super) fn condition(
        &mut self,
        field: &str,
        text: Option<&String>,
        parse: impl FnOnce(&str) -> Result<Condition, ConditionError>,
    ) -> Option<Option<Arc<Condition>>> {
        let Some(text) = given(text) else {
            return Some(None);
        };
        let holds_secret = self.holds_secret(text);
        match parse(text) {
            Ok(condition) if holds_secret => {
                return Some(Some(Arc::new(condition.keeping_back())));
            }
            Ok(condition) => return Some(Some(Arc::new(condition))),
            Err(error) if holds_secret => {
                self.fault(field, format!("not a condition, at byte {}", error.at));
            }
            Err(error) => match &error.hint {
                Some(hint) => self.fault_with_hint(field, format!("{error:#}"), hint),
                None => self.fault(field, format!("{error:#}")),
            },
        }
        None
    }
}
