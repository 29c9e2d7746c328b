//! What is known of a value before it is there, and what Go makes of it.

use super::ast::Operator;
use super::function::Parameter;
use super::value::Value;

/// What is known of a value before it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Unknown,
    Nil,
    Bool,
    Int,
    Float,
    Text,
    List(Box<Self>),
    /// With keys that are texts.
    Map,
    /// With keys of any type.
    AnyMap,
    /// Lists by keys of any type.
    Groups,
    Duration,
    Moment,
    Zone,
}

impl Nature {
    pub(super) fn list() -> Self {
        Self::List(Box::new(Self::Unknown))
    }

    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }

    fn is_map(&self) -> bool {
        matches!(self, Self::Map | Self::AnyMap | Self::Groups)
    }

    pub(super) fn element(&self) -> Self {
        match self {
            Self::List(element) => (**element).clone(),
            _ => Self::Unknown,
        }
    }

    /// Go's name of it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Nil => "unknown",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Text => "string",
            Self::List(_) => "[]interface {}",
            Self::Map => "map[string]interface {}",
            Self::AnyMap => "map[interface {}]interface {}",
            Self::Groups => "map[interface {}][]interface {}",
            Self::Duration => "time.Duration",
            Self::Moment => "time.Time",
            Self::Zone => "*time.Location",
        }
    }

    pub(super) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    pub(super) fn comparable_to(&self, other: &Self) -> bool {
        let is_open = |nature: &Self| matches!(nature, Self::Unknown | Self::Nil);
        is_open(self)
            || is_open(other)
            || self.is_number() && other.is_number()
            || self.same_kind(other)
    }

    /// Whether both pass `test`, or one does and the other may, or both may.
    pub(super) fn both(&self, other: &Self, test: impl Fn(&Self) -> bool) -> bool {
        let may = |nature: &Self| nature.is_unknown() || test(nature);
        may(self) && may(other)
    }
}

pub(super) fn of_literal(value: &Value<'_>) -> Nature {
    match value {
        Value::Nil => Nature::Nil,
        Value::Bool(_) => Nature::Bool,
        Value::Int(_) => Nature::Int,
        Value::Float(_) => Nature::Float,
        Value::Text(_) => Nature::Text,
        Value::List(list) => list_of(list.iter().map(|item| of_literal(&item)).collect()),
        Value::Map(_) => Nature::Map,
        Value::Duration(_) => Nature::Duration,
        Value::Moment(_) => Nature::Moment,
        Value::Zone(_) => Nature::Zone,
    }
}

/// A list is of one nature where its items are of one kind.
pub(super) fn list_of(natures: Vec<Nature>) -> Nature {
    let is_uniform = natures.windows(2).all(|pair| pair[0].same_kind(&pair[1]));
    match natures.into_iter().next_back() {
        Some(nature) if is_uniform => Nature::List(Box::new(nature)),
        _ => Nature::list(),
    }
}

/// What `operator` gives for such operands; `None` where Go has no such operation.
pub(super) fn operation(operator: Operator, left: &Nature, right: &Nature) -> Option<Nature> {
    use Nature::{Bool, Duration, Float, Int, Moment, Text, Unknown};
    let is_open = left.is_unknown() || right.is_unknown();
    let numbers = left.both(right, Nature::is_number);
    match operator {
        Operator::Equal | Operator::NotEqual => left.comparable_to(right).then_some(Bool),
        Operator::Compare(_) => {
            let ordered =
                |nature: &Nature| matches!(nature, Int | Float | Text | Moment | Duration);
            let fits = is_open && left.both(right, ordered)
                || numbers
                || ordered(left) && left.same_kind(right);
            fits.then_some(Bool)
        }
        Operator::In => Some(Bool),
        Operator::Add => match (left, right) {
            (Int, Int) => Some(Int),
            (Text, Text) => Some(Text),
            (Moment, Duration) | (Duration, Moment) => Some(Moment),
            (Duration, Duration) => Some(Duration),
            _ if is_open => {
                let adds =
                    |nature: &Nature| matches!(nature, Int | Float | Text | Moment | Duration);
                left.both(right, adds).then_some(Unknown)
            }
            _ => numbers.then_some(Float),
        },
        Operator::Subtract => match (left, right) {
            (Int, Int) => Some(Int),
            (Moment, Moment) | (Duration, Duration) => Some(Duration),
            (Moment, Duration) => Some(Moment),
            _ if is_open => {
                let subtracts = |nature: &Nature| matches!(nature, Int | Float | Moment | Duration);
                left.both(right, subtracts).then_some(Unknown)
            }
            _ => numbers.then_some(Float),
        },
        Operator::Multiply => match (left, right) {
            (Int, Int) => Some(Int),
            (Int | Float | Duration, Duration) | (Duration, Int | Float) => Some(Duration),
            _ if is_open => {
                let multiplies = |nature: &Nature| matches!(nature, Int | Float | Duration);
                left.both(right, multiplies).then_some(Unknown)
            }
            _ => numbers.then_some(Float),
        },
        Operator::Divide | Operator::Power => numbers.then_some(Float),
        Operator::Modulo => left.both(right, |nature| *nature == Int).then_some(Int),
        Operator::Range => left
            .both(right, |nature| *nature == Int)
            .then(|| Nature::List(Box::new(Int))),
        Operator::Matches | Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            left.both(right, |nature| *nature == Text).then_some(Bool)
        }
    }
}

pub(super) fn accepts(parameter: Parameter, nature: &Nature) -> bool {
    if nature.is_unknown() {
        return true;
    }
    match parameter {
        Parameter::Any => true,
        Parameter::Text => *nature == Nature::Text,
        Parameter::Int => *nature == Nature::Int,
        Parameter::Float | Parameter::Number => nature.is_number(),
        Parameter::NumberOrText => nature.is_number() || *nature == Nature::Text,
        Parameter::NumberOrList => nature.is_number() || nature.is_list(),
        Parameter::List => nature.is_list(),
        Parameter::Duration => *nature == Nature::Duration,
        Parameter::Moment => *nature == Nature::Moment,
        Parameter::Zone => *nature == Nature::Zone,
        Parameter::Map => nature.is_map(),
        Parameter::Sized => *nature == Nature::Text || nature.is_list() || nature.is_map(),
    }
}
