//! Types that are known before there is a result.

use cel_interpreter::common::ast::{LiteralValue, operators};

/// A type that is known without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Bytes,
    Double,
    Int,
    List,
    Map,
    Null,
    Text,
    Type,
    Uint,
}

impl Kind {
    pub(super) fn of_literal(literal: &LiteralValue) -> Self {
        match literal {
            LiteralValue::Boolean(_) => Self::Bool,
            LiteralValue::Bytes(_) => Self::Bytes,
            LiteralValue::Double(_) => Self::Double,
            LiteralValue::Int(_) => Self::Int,
            LiteralValue::Null => Self::Null,
            LiteralValue::String(_) => Self::Text,
            LiteralValue::UInt(_) => Self::Uint,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Double => "double",
            Self::Int => "int",
            Self::List => "list",
            Self::Map => "map",
            Self::Null => "null_type",
            Self::Text => "string",
            Self::Type => "type",
            Self::Uint => "uint",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Double | Self::Int | Self::Uint)
    }

    /// Whether `<` and its like have a meaning between the two.
    pub(super) fn has_order_with(self, other: Self) -> bool {
        self.is_number() && other.is_number()
            || self == other && matches!(self, Self::Bool | Self::Bytes | Self::Text)
    }

    /// Whether `operator` has a meaning between two of it.
    pub(super) fn has(self, operator: &str) -> bool {
        match self {
            Self::Int | Self::Uint => true,
            Self::Double => operator != operators::MODULO,
            Self::Bytes | Self::List | Self::Text => operator == operators::ADD,
            Self::Bool | Self::Map | Self::Null | Self::Type => false,
        }
    }
}
