//! The functions that a condition can call: what they are called and what they take.

/// A function that asks something of each element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Any,
    None,
    One,
    Filter,
    Map,
    Count,
    Sum,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    GroupBy,
    SortBy,
    Reduce,
}

impl Each {
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL_EACH.into_iter().find(|each| each.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::None => "none",
            Self::One => "one",
            Self::Filter => "filter",
            Self::Map => "map",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Find => "find",
            Self::FindIndex => "findIndex",
            Self::FindLast => "findLast",
            Self::FindLastIndex => "findLastIndex",
            Self::GroupBy => "groupBy",
            Self::SortBy => "sortBy",
            Self::Reduce => "reduce",
        }
    }

    /// Whether its predicate is a yes or no.
    pub(super) fn asks(self) -> bool {
        match self {
            Self::All
            | Self::Any
            | Self::None
            | Self::One
            | Self::Filter
            | Self::Count
            | Self::Find
            | Self::FindIndex
            | Self::FindLast
            | Self::FindLastIndex => true,
            Self::Map | Self::Sum | Self::GroupBy | Self::SortBy | Self::Reduce => false,
        }
    }

    /// Whether it does without a predicate.
    pub(super) fn body_is_optional(self) -> bool {
        matches!(self, Self::Count | Self::Sum)
    }

    /// Whether a third argument may follow.
    pub(super) fn takes_extra(self) -> bool {
        matches!(self, Self::SortBy | Self::Reduce)
    }

    pub(super) fn has_index(self) -> bool {
        matches!(self, Self::Map | Self::Reduce)
    }

    /// Whether `all(values > 1)` with one argument means each of the values.
    pub(super) fn has_short_form(self) -> bool {
        self.asks() || matches!(self, Self::Map | Self::Sum)
    }
}

const ALL_EACH: [Each; 15] = [
    Each::All,
    Each::Any,
    Each::None,
    Each::One,
    Each::Filter,
    Each::Map,
    Each::Count,
    Each::Sum,
    Each::Find,
    Each::FindIndex,
    Each::FindLast,
    Each::FindLastIndex,
    Each::GroupBy,
    Each::SortBy,
    Each::Reduce,
];

/// A function of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    // Argo's helpers.
    AsInt,
    AsFloat,
    IsNaN,
    IsInf,
    IsNil,
    Default,
    // Numbers.
    Abs,
    Ceil,
    Floor,
    Round,
    Int,
    Float,
    Max,
    Min,
    Mean,
    Median,
    BitAnd,
    BitOr,
    BitXor,
    BitNand,
    BitNot,
    BitShl,
    BitShr,
    BitUshr,
    // Texts.
    String,
    Type,
    Trim,
    TrimPrefix,
    TrimSuffix,
    Upper,
    Lower,
    Split,
    SplitAfter,
    Replace,
    Repeat,
    Join,
    IndexOf,
    LastIndexOf,
    HasPrefix,
    HasSuffix,
    ToJson,
    FromJson,
    ToBase64,
    FromBase64,
    // Lists and maps.
    Len,
    First,
    Last,
    Get,
    Take,
    Keys,
    Values,
    ToPairs,
    FromPairs,
    Reverse,
    Uniq,
    Concat,
    Flatten,
    Sort,
    // Time.
    Now,
    Duration,
    Date,
    TimeZone,
}

/// What a function takes at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Any,
    Text,
    Int,
    Float,
    Number,
    /// What `int()` and `float()` read.
    NumberOrText,
    /// What `max()` and its siblings take.
    NumberOrList,
    List,
    Map,
    /// What has a length.
    Sized,
    Duration,
    Moment,
    Zone,
}

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Unknown,
    Bool,
    Int,
    Float,
    Text,
    List,
    Texts,
    Map,
    Duration,
    Moment,
    Zone,
    /// The type of its first argument.
    SameAsFirst,
    /// A list where its first argument is known to be one.
    ListLikeFirst,
}

/// One line of the table of functions.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) function: Function,
    pub(super) required: usize,
    pub(super) parameters: &'static [Parameter],
    /// Whether the last parameter repeats.
    pub(super) variadic: bool,
    pub(super) gives: Gives,
}

impl Function {
    pub(super) fn signature(self) -> &'static Signature {
        SIGNATURES
            .iter()
            .find(|signature| signature.function == self)
            .expect("functions are only ever taken from the table")
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        SIGNATURES
            .iter()
            .find(|signature| signature.name == name)
            .map(|signature| signature.function)
    }
}

impl Signature {
    /// What the argument at `index` has to be; `None` where there is one too many.
    pub(super) fn parameter(&self, index: usize) -> Option<Parameter> {
        match self.parameters.get(index) {
            Some(parameter) => Some(*parameter),
            None if self.variadic => self.parameters.last().copied(),
            None => None,
        }
    }

    /// Whether an argument has to be a number.
    pub(super) fn takes_number(&self, index: usize) -> bool {
        matches!(
            self.parameter(index),
            Some(Parameter::Int | Parameter::Float | Parameter::Number | Parameter::NumberOrList)
        )
    }

    /// Whether a list as an argument is natural, so that a bare `values` in it stays the whole list.
    pub(super) fn takes_list(&self, index: usize) -> bool {
        match self.parameter(index) {
            Some(Parameter::List | Parameter::Sized | Parameter::NumberOrList) => true,
            Some(Parameter::Any) => matches!(
                self.function,
                Function::Get | Function::ToJson | Function::Type
            ),
            Some(
                Parameter::Text
                | Parameter::Int
                | Parameter::Float
                | Parameter::Number
                | Parameter::NumberOrText
                | Parameter::Map
                | Parameter::Duration
                | Parameter::Moment
                | Parameter::Zone,
            )
            | None => false,
        }
    }
}

/// The names of all functions, for those who mistyped one.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL_EACH
        .into_iter()
        .map(Each::name)
        .chain(SIGNATURES.iter().map(|signature| signature.name))
}

const fn takes(
    name: &'static str,
    function: Function,
    required: usize,
    parameters: &'static [Parameter],
    gives: Gives,
) -> Signature {
    Signature {
        name,
        function,
        required,
        parameters,
        variadic: false,
        gives,
    }
}

const fn takes_many(
    name: &'static str,
    function: Function,
    parameters: &'static [Parameter],
    gives: Gives,
) -> Signature {
    Signature {
        name,
        function,
        required: 1,
        parameters,
        variadic: true,
        gives,
    }
}

/// Go's built-in functions, Argo's helpers, and `avg`.
static SIGNATURES: &[Signature] = {
    use Function as F;
    use Gives as G;
    use Parameter as P;
    &[
        takes("asInt", F::AsInt, 1, &[P::Any], G::Int),
        takes("asFloat", F::AsFloat, 1, &[P::Any], G::Float),
        takes("isNaN", F::IsNaN, 1, &[P::Float], G::Bool),
        takes("isInf", F::IsInf, 1, &[P::Float], G::Bool),
        takes("isNil", F::IsNil, 1, &[P::Any], G::Bool),
        takes("default", F::Default, 2, &[P::Any, P::Any], G::Unknown),
        takes("abs", F::Abs, 1, &[P::Number], G::SameAsFirst),
        takes("ceil", F::Ceil, 1, &[P::Number], G::Float),
        takes("floor", F::Floor, 1, &[P::Number], G::Float),
        takes("round", F::Round, 1, &[P::Number], G::Float),
        takes("int", F::Int, 1, &[P::NumberOrText], G::Int),
        takes("float", F::Float, 1, &[P::NumberOrText], G::Float),
        takes_many("max", F::Max, &[P::NumberOrList], G::Unknown),
        takes_many("min", F::Min, &[P::NumberOrList], G::Unknown),
        takes_many("mean", F::Mean, &[P::NumberOrList], G::Unknown),
        takes_many("avg", F::Mean, &[P::NumberOrList], G::Unknown),
        takes_many("median", F::Median, &[P::NumberOrList], G::Unknown),
        takes("bitand", F::BitAnd, 2, &[P::Int, P::Int], G::Int),
        takes("bitor", F::BitOr, 2, &[P::Int, P::Int], G::Int),
        takes("bitxor", F::BitXor, 2, &[P::Int, P::Int], G::Int),
        takes("bitnand", F::BitNand, 2, &[P::Int, P::Int], G::Int),
        takes("bitnot", F::BitNot, 1, &[P::Int], G::Int),
        takes("bitshl", F::BitShl, 2, &[P::Int, P::Int], G::Int),
        takes("bitshr", F::BitShr, 2, &[P::Int, P::Int], G::Int),
        takes("bitushr", F::BitUshr, 2, &[P::Int, P::Int], G::Int),
        takes("string", F::String, 1, &[P::Any], G::Text),
        takes("type", F::Type, 1, &[P::Any], G::Text),
        takes("trim", F::Trim, 1, &[P::Text, P::Text], G::Text),
        takes("trimPrefix", F::TrimPrefix, 1, &[P::Text, P::Text], G::Text),
        takes("trimSuffix", F::TrimSuffix, 1, &[P::Text, P::Text], G::Text),
        takes("upper", F::Upper, 1, &[P::Text], G::Text),
        takes("lower", F::Lower, 1, &[P::Text], G::Text),
        takes("split", F::Split, 2, &[P::Text, P::Text, P::Int], G::Texts),
        takes(
            "splitAfter",
            F::SplitAfter,
            2,
            &[P::Text, P::Text, P::Int],
            G::Texts,
        ),
        takes(
            "replace",
            F::Replace,
            3,
            &[P::Text, P::Text, P::Text, P::Int],
            G::Text,
        ),
        takes("repeat", F::Repeat, 2, &[P::Text, P::Int], G::Text),
        takes("join", F::Join, 1, &[P::List, P::Text], G::Text),
        takes("indexOf", F::IndexOf, 2, &[P::Text, P::Text], G::Int),
        takes(
            "lastIndexOf",
            F::LastIndexOf,
            2,
            &[P::Text, P::Text],
            G::Int,
        ),
        takes("hasPrefix", F::HasPrefix, 2, &[P::Text, P::Text], G::Bool),
        takes("hasSuffix", F::HasSuffix, 2, &[P::Text, P::Text], G::Bool),
        takes("toJSON", F::ToJson, 1, &[P::Any], G::Text),
        takes("fromJSON", F::FromJson, 1, &[P::Text], G::Unknown),
        takes("toBase64", F::ToBase64, 1, &[P::Text], G::Text),
        takes("fromBase64", F::FromBase64, 1, &[P::Text], G::Text),
        takes("len", F::Len, 1, &[P::Sized], G::Int),
        takes("first", F::First, 1, &[P::List], G::Unknown),
        takes("last", F::Last, 1, &[P::List], G::Unknown),
        takes("get", F::Get, 2, &[P::Any, P::Any], G::Unknown),
        takes("take", F::Take, 2, &[P::List, P::Int], G::ListLikeFirst),
        takes("keys", F::Keys, 1, &[P::Map], G::List),
        takes("values", F::Values, 1, &[P::Map], G::List),
        takes("toPairs", F::ToPairs, 1, &[P::Map], G::List),
        takes("fromPairs", F::FromPairs, 1, &[P::List], G::Map),
        takes("reverse", F::Reverse, 1, &[P::List], G::List),
        takes("uniq", F::Uniq, 1, &[P::List], G::List),
        takes_many("concat", F::Concat, &[P::List], G::List),
        takes("flatten", F::Flatten, 1, &[P::List], G::List),
        takes("sort", F::Sort, 1, &[P::List, P::Text], G::List),
        takes("duration", F::Duration, 1, &[P::Text], G::Duration),
        takes("now", F::Now, 0, &[P::Zone], G::Moment),
        takes("date", F::Date, 1, &[P::Any, P::Any, P::Any], G::Moment),
        takes("timezone", F::TimeZone, 1, &[P::Text], G::Zone),
    ]
};
