//! MQE, the expression language of `execExpression`: as much of it as the recordings have.

mod combine;
mod evaluate;
mod parse;
mod result;

pub(super) use evaluate::execute;

/// An expression as it is written.
#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Number(f64),
    Metric(MetricRef),
    Binary(Op, Box<Self>, Box<Self>),
    Aggregate(Aggregate, Box<Self>),
    Abs(Box<Self>),
    Ceil(Box<Self>),
    Floor(Box<Self>),
    Round(Box<Self>, u32),
    /// The change over so many buckets.
    Increase(MetricRef, u32),
    /// The change a second over so many buckets.
    Rate(MetricRef, u32),
    IsPresent(Vec<Self>),
    ViewAsSeq(Vec<Self>),
    TopN(MetricRef, usize, Order),
    Relabels(Box<Self>, Label, Label),
    AggregateLabels(Box<Self>, Aggregate, Vec<String>),
    SortLabelValues(Box<Self>, Order, Vec<String>),
    Baseline(MetricRef),
}

/// A metric, and the labels asked for.
#[derive(Clone, Debug, PartialEq)]
struct MetricRef {
    name: String,
    labels: Vec<Label>,
}

/// `p='50,99'`: a label and the values wanted of it.
#[derive(Clone, Debug, PartialEq)]
struct Label {
    name: String,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Aggregate {
    Avg,
    Count,
    Latest,
    Max,
    Min,
    Sum,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Ascending,
    Descending,
}
