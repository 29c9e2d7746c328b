//! The words of the form for the domain's enums. They never change: files hold them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::condition::Language;
use crate::domain::measurement::{Phase, Side};
use crate::domain::reading::{ErrorClass, PointKind};
use crate::domain::window::Step;

/// The phase of that name.
pub(in crate::store) fn phase_named(word: &str) -> Option<Phase> {
    Phase::of(word)
}

/// A value of an enum, as its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<T>(pub(super) T);

/// An enum whose values have words.
pub(super) trait Words: Copy {
    /// What it is a word for.
    const WHAT: &'static str;

    fn word(self) -> &'static str;

    fn of(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($type:ident, $what:literal: $($value:ident = $word:literal,)*) => {
        impl Words for $type {
            const WHAT: &'static str = $what;

            fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)*
                    _ => None,
                }
            }
        }
    };
}

words! { Phase, "phase":
    Pending = "Pending",
    Running = "Running",
    Successful = "Successful",
    Failed = "Failed",
    Error = "Error",
    Inconclusive = "Inconclusive",
}

words! { Side, "condition":
    Success = "success",
    Failure = "failure",
}

words! { Language, "language":
    Expr = "expr",
    Cel = "cel",
}

words! { Step, "step":
    Minute = "MINUTE",
    Hour = "HOUR",
    Day = "DAY",
}

// Points are many, so their words are short.
words! { PointKind, "kind of point":
    Data = "d",
    Gap = "g",
    Unsettled = "u",
    Stale = "s",
    ZeroOrNothing = "z",
}

words! { ErrorClass, "class of errors":
    Unreachable = "Unreachable",
    Refused = "Refused",
    Malformed = "Malformed",
    BadQuery = "BadQuery",
    UnknownMetric = "UnknownMetric",
    IncompleteEntity = "IncompleteEntity",
    WrongKindOfMetric = "WrongKindOfMetric",
    Unsupported = "Unsupported",
}

impl<T: Words> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Words> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}

struct WordVisitor<T>(PhantomData<T>);

impl<T: Words> Visitor<'_> for WordVisitor<T> {
    type Value = Word<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", T::WHAT)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Word<T>, E> {
        let value = T::of(word);
        value
            .map(Word)
            .ok_or_else(|| E::custom(format_args!("`{word}` is no {}", T::WHAT)))
    }
}
