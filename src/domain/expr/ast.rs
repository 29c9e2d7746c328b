//! The syntax tree, with every name resolved.

use super::function::{Each, Function};
use super::pattern::Pattern;
use super::value::Value;

/// Trees are at most this high, so that walking one recursively fits a stack of 2 MiB, in a debug build too.
pub(super) const MAX_HEIGHT: u8 = 64;

/// A stretch of the source, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn to(self, end: Self) -> Self {
        Self {
            start: self.start.min(end.start),
            end: self.end.max(end.end),
        }
    }
}

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) height: u8,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A literal, or a list of literals.
    Literal(Value<'static>),
    /// `result`.
    Result,
    /// `$env`: all the names that a condition knows.
    Environment,
    /// `values`, or `series["…"]`: the numbers of a series.
    Values(Option<Box<str>>),
    /// A name bound by `let`, by the place where its value is kept.
    Slot(usize),
    /// `#`: the element that a predicate looks at.
    Element,
    /// `#index`.
    Index,
    /// `#acc`.
    Accumulator,
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// Unary `+`, which only looks at the type.
    Plus(Box<Expr>),
    /// `a && b && …` or `a || b || …`.
    Logic {
        connective: Connective,
        parts: Vec<Expr>,
        /// A literal among them decides: Go folds it before it evaluates anything.
        settled: bool,
    },
    /// `a ?? b`.
    Coalesce(Box<[Expr; 2]>),
    Binary(Operator, Box<[Expr; 2]>),
    /// `a < b <= c …`: each neighbouring pair must hold.
    Ordered {
        first: Box<Expr>,
        rest: Vec<(Comparison, Expr)>,
    },
    /// `text matches "literal"`, compiled at parsing.
    Matches(Box<Expr>, Pattern),
    /// `object.name` and `object["name"]`.
    Member {
        object: Box<Expr>,
        name: Box<str>,
        optional: bool,
    },
    /// `object[key]`.
    Item {
        object: Box<Expr>,
        key: Box<Expr>,
        optional: bool,
    },
    /// `object[from:to]`.
    Slice {
        object: Box<Expr>,
        from: Option<Box<Expr>>,
        to: Option<Box<Expr>>,
    },
    /// Where `?.` on nil leads: the whole of it is nil.
    Chain(Box<Expr>),
    /// `object.method(…)`: only durations and dates have any.
    Method {
        object: Box<Expr>,
        method: super::time::Method,
        arguments: Vec<Expr>,
    },
    Call {
        function: Function,
        arguments: Vec<Expr>,
    },
    /// A function that takes a predicate.
    Each(Box<EachCall>),
    /// `a ? b : c` and `if a { b } else { c }`.
    Conditional(Box<[Expr; 3]>),
    /// `a ?: c`: `a` where it is true, else `c`.
    Elvis(Box<[Expr; 2]>),
    Let {
        slot: usize,
        value: Box<Expr>,
        body: Box<Expr>,
    },
    /// `a; b`: all are evaluated, the last is the value.
    Sequence(Vec<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
}

/// A call of a function that takes a predicate: `all(list, body)`.
#[derive(Clone, Debug)]
pub(super) struct EachCall {
    pub(super) each: Each,
    pub(super) list: Expr,
    /// What is asked of each element; only `count` and `sum` do without.
    pub(super) body: Option<Expr>,
    /// The order of `sortBy`, the first accumulator of `reduce`.
    pub(super) extra: Option<Expr>,
    /// So many hits are enough for `count`: its comparison is decided then.
    pub(super) enough: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

impl Connective {
    pub(in crate::domain) fn symbol(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
        }
    }

    /// The value of a part that decides the whole.
    pub(super) fn decisive(self) -> bool {
        match self {
            Self::And => false,
            Self::Or => true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Operator {
    Compare(Comparison),
    Equal,
    NotEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Range,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(in crate::domain) fn symbol(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// The comparison with its sides exchanged.
    pub(in crate::domain) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

impl Operator {
    pub(in crate::domain) fn symbol(self) -> &'static str {
        match self {
            Self::Compare(comparison) => comparison.symbol(),
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Range => "..",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
        }
    }
}

impl Expr {
    /// An expression as high as its children make it.
    pub(super) fn new(span: Span, kind: Kind) -> Self {
        let mut below = 0;
        kind.visit(&mut |child| below = below.max(child.height));
        Self {
            kind,
            span,
            height: below.saturating_add(1),
        }
    }

    /// Whether its value changes from element to element of the enclosing predicate.
    pub(super) fn is_per_element(&self) -> bool {
        match &self.kind {
            Kind::Element | Kind::Index | Kind::Accumulator => true,
            Kind::Each(call) => {
                call.list.is_per_element() || call.extra.as_ref().is_some_and(Self::is_per_element)
            }
            kind => {
                let mut found = false;
                kind.visit(&mut |child| found = found || child.is_per_element());
                found
            }
        }
    }

    /// Where it first speaks of the element of the enclosing predicate.
    pub(super) fn pointer(&self) -> Option<Span> {
        let mut found = None;
        let mut look = |child: &Self| found = found.or_else(|| child.pointer());
        match &self.kind {
            Kind::Element | Kind::Index | Kind::Accumulator => return Some(self.span),
            // What it asks of its own elements is its own affair.
            Kind::Each(call) => {
                look(&call.list);
                call.extra.iter().for_each(look);
            }
            kind => kind.visit(&mut look),
        }
        found
    }
}

impl Kind {
    /// Calls `see` with each child, in the order of the source.
    pub(super) fn visit<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        match self {
            Self::Literal(_)
            | Self::Result
            | Self::Environment
            | Self::Values(_)
            | Self::Slot(_)
            | Self::Element
            | Self::Index
            | Self::Accumulator => {}
            Self::Not(inner)
            | Self::Negate(inner)
            | Self::Plus(inner)
            | Self::Chain(inner)
            | Self::Matches(inner, _) => see(inner),
            Self::Logic { parts, .. } | Self::Sequence(parts) | Self::List(parts) => {
                parts.iter().for_each(see);
            }
            Self::Coalesce(sides) | Self::Elvis(sides) | Self::Binary(_, sides) => {
                sides.iter().for_each(see);
            }
            Self::Ordered { first, rest } => {
                see(first);
                for (_, operand) in rest {
                    see(operand);
                }
            }
            Self::Member { object, .. } => see(object),
            Self::Item { object, key, .. } => {
                see(object);
                see(key);
            }
            Self::Slice { object, from, to } => {
                see(object);
                from.iter().chain(to).for_each(|bound| see(bound));
            }
            Self::Method {
                object, arguments, ..
            } => {
                see(object);
                arguments.iter().for_each(see);
            }
            Self::Call { arguments, .. } => arguments.iter().for_each(see),
            Self::Each(call) => {
                see(&call.list);
                call.body.iter().chain(&call.extra).for_each(see);
            }
            Self::Conditional(parts) => parts.iter().for_each(see),
            Self::Let { value, body, .. } => {
                see(value);
                see(body);
            }
            Self::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                see(key);
                see(value);
            }),
        }
    }
}
