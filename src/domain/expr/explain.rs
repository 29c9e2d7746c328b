//! Why a condition held or didn't, in one line fit for a rollback notice.
//!
//! The parts that decided are evaluated once more, point by point; nothing of it slows [`super::Program::holds`].

use super::ast::{Comparison, EachCall, Expr, Kind, Operator};
use super::clause::{Clause, clause, effective, oriented, shortened, shown, words};
use super::eval::{Element, Evaluator, Frame};
use super::function::{Each, Function};
use super::missing;
use super::points::Points;
use super::value::{List, Value};
use crate::domain::condition::Reason;

/// So many points are named, the others are `…`.
const SHOWN: usize = 5;

/// A list of more elements is not gone through.
const EXPLAINED: usize = 10_000;

/// Why `root`, which evaluates without an error, is `holds`.
pub(super) fn reason<'a>(evaluator: Evaluator<'a>, root: &'a Expr, holds: bool) -> Reason {
    let mut explainer = Explainer {
        evaluator,
        points: Vec::new(),
    };
    let text = match (explainer.of(root, holds), &root.kind) {
        (Some(text), _) => text,
        (None, Kind::Literal(_)) => String::new(),
        (None, _) => format!("{} is {holds}", explainer.source(root)),
    };
    explainer.points.sort_unstable();
    explainer.points.dedup();
    Reason {
        text,
        points: explainer.points,
    }
}

struct Explainer<'a> {
    evaluator: Evaluator<'a>,
    points: Vec<(usize, usize)>,
}

/// An element of a list about which something is told.
struct Hit<'a> {
    frame: Frame<'a>,
    /// The part of the predicate that decided, and how.
    leaf: &'a Expr,
    verdict: bool,
}

impl<'a> Explainer<'a> {
    /// Why `expression` is `holds`; `None` where there is nothing to add.
    fn of(&mut self, expression: &'a Expr, holds: bool) -> Option<String> {
        match &expression.kind {
            Kind::Not(inner) => self.of(inner, !holds),
            Kind::Logic {
                connective, parts, ..
            } => self.of_parts(parts, connective.decisive(), holds),
            Kind::Conditional(parts) => {
                let condition = self.evaluator.truth(&parts[0]).ok()?;
                let chosen = if condition { &parts[1] } else { &parts[2] };
                match chosen.kind {
                    // What was asked is what decided.
                    Kind::Literal(_) => self.of(&parts[0], condition),
                    _ => self.of(chosen, holds),
                }
            }
            Kind::Elvis(sides) => {
                if self.evaluator.truth(&sides[0]).ok()? {
                    return self.of(&sides[0], true);
                }
                match sides[1].kind {
                    Kind::Literal(_) => self.of(&sides[0], false),
                    _ => self.of(&sides[1], holds),
                }
            }
            Kind::Let { slot, value, body } => {
                self.evaluator.slots[*slot] = self.evaluator.eval(value).ok()?;
                self.of(body, holds)
            }
            Kind::Sequence(parts) => self.of(parts.last()?, holds),
            Kind::Each(call) if call.each.asks() => self.of_each(call, holds),
            Kind::Binary(operator, sides) => self.of_binary(*operator, sides, holds),
            Kind::Ordered { first, rest } => self.of_ordered(first, rest),
            Kind::Matches(text, _) => self.of_matches(expression, text, holds),
            Kind::Literal(_) => None,
            _ => {
                let value = self.evaluator.eval(expression).ok()?;
                Some(format!(
                    "{} is {}",
                    self.source(expression),
                    shown(&value, None)
                ))
            }
        }
    }

    /// `&&` and `||`: the first `decisive` part, or else all of them.
    fn of_parts(&mut self, parts: &'a [Expr], decisive: bool, holds: bool) -> Option<String> {
        if holds == decisive {
            for part in parts {
                if self.evaluator.truth(part).ok()? == decisive {
                    return self.of(part, decisive);
                }
            }
            return None;
        }
        let texts: Vec<String> = parts
            .iter()
            .filter_map(|part| self.of(part, holds))
            .collect();
        Some(texts.join("; ")).filter(|text| !text.is_empty())
    }

    /// `avg(values) is 9412.3, not >= 9900`
    fn of_binary(
        &mut self,
        operator: Operator,
        sides: &'a [Expr; 2],
        holds: bool,
    ) -> Option<String> {
        let clause = clause(operator, sides, holds);
        if let Kind::Each(call) = &clause.subject.kind
            && call.each == Each::Count
            && let Some(body) = &call.body
            && !matches!(body.kind, Kind::Literal(_))
        {
            return self.of_count(call, &clause);
        }
        let value = self.evaluator.eval(clause.subject).ok()?;
        let bound = self.evaluator.eval(clause.bound).ok()?;
        if !clause.verdict
            && let Some(missing) = self.missing(&clause, &value, &bound)
        {
            return Some(missing);
        }
        let place = self
            .place_of_extreme(clause.subject, &value)
            .unwrap_or_default();
        let subject = self.source(clause.subject);
        let value = shown(&value, bound.number());
        let claim = self.claim(&clause, &bound);
        Some(format!("{subject} is {value}{place}{claim}"))
    }

    /// ``result.service_apdx is missing; result has `service_apdex` ``, where that is what decided.
    fn missing(
        &mut self,
        clause: &Clause<'a>,
        value: &Value<'a>,
        bound: &Value<'a>,
    ) -> Option<String> {
        if value.is_nil() && !bound.is_nil() {
            return missing::hint(&mut self.evaluator, clause.subject);
        }
        if bound.is_nil() && !value.is_nil() {
            return missing::hint(&mut self.evaluator, clause.bound);
        }
        // A default stands in for it.
        let Kind::Coalesce(sides) = &clause.subject.kind else {
            return None;
        };
        if !self.evaluator.eval(&sides[0]).ok()?.is_nil() {
            return None;
        }
        let missing = missing::hint(&mut self.evaluator, &sides[0])?;
        let value = shown(value, bound.number());
        let claim = self.claim(clause, bound);
        Some(format!("{missing}; its default is {value}{claim}"))
    }

    /// `result.version is "v1", which does not match "^v2"`
    fn of_matches(&mut self, expression: &Expr, text: &'a Expr, holds: bool) -> Option<String> {
        let value = self.evaluator.eval(text).ok()?;
        let subject = self.source(text);
        let value = shown(&value, None);
        let behind = self
            .evaluator
            .source
            .get(text.span.end..expression.span.end)?;
        let (_, pattern) = behind.split_once("matches")?;
        let verb = if holds { "matches" } else { "does not match" };
        Some(format!(
            "{subject} is {value}, which {verb} {}",
            shortened(pattern.trim())
        ))
    }

    /// What the comparison adds to the value of its subject.
    fn claim(&self, clause: &Clause<'a>, bound: &Value<'a>) -> String {
        let written = match &clause.bound.kind {
            Kind::Literal(_) => self.source(clause.bound),
            _ => format!("{} ({})", self.source(clause.bound), shown(bound, None)),
        };
        match (clause.operator, clause.verdict) {
            (Operator::Equal, true) | (Operator::NotEqual, false) => match &clause.bound.kind {
                Kind::Literal(_) => String::new(),
                _ => format!(", as {}", self.source(clause.bound)),
            },
            (Operator::Equal, false) | (Operator::NotEqual, true) => format!(", not {written}"),
            (Operator::Compare(comparison), true) => format!(", {} {written}", words(comparison)),
            (operator, verdict) => match verb(operator) {
                Some((verb, _)) if verdict => format!(", which {verb} {written}"),
                Some((_, verb)) => format!(", which does not {verb} {written}"),
                None if verdict => format!(", {} {written}", operator.symbol()),
                None => format!(", not {} {written}", operator.symbol()),
            },
        }
    }

    fn of_ordered(&mut self, first: &'a Expr, rest: &'a [(Comparison, Expr)]) -> Option<String> {
        let mut left = first;
        let mut texts = Vec::new();
        for (comparison, right) in rest {
            let l = self.evaluator.eval(left).ok()?;
            let r = self.evaluator.eval(right).ok()?;
            let verdict = super::value::compare(*comparison, &l, &r)?;
            let clause = oriented(left, Operator::Compare(*comparison), right, verdict);
            let (value, bound) = if std::ptr::eq(clause.subject, left) {
                (&l, &r)
            } else {
                (&r, &l)
            };
            let text = format!(
                "{} is {}{}",
                self.source(clause.subject),
                shown(value, bound.number()),
                self.claim(&clause, bound)
            );
            if !verdict {
                return Some(text);
            }
            texts.push(text);
            left = right;
        }
        Some(texts.join("; "))
    }

    /// `3 of 5 points below 9900: 12:04 9611, 12:05 9702, 12:07 9433`
    fn of_each(&mut self, call: &'a EachCall, holds: bool) -> Option<String> {
        let list = self.evaluator.list_of(call.each, &call.list).ok()?;
        if list.len() == 0 {
            return Some(format!("{} is empty", self.source(&call.list)));
        }
        let told = call.each != Each::All || holds;
        let hits = self.hits(call, &list, told)?;
        self.tell(call, &list, &hits, told, "")
    }

    /// `2 of 5 points below 5000, not 0: 12:04 4999, 12:05 4321`
    fn of_count(&mut self, call: &'a EachCall, clause: &Clause<'a>) -> Option<String> {
        let list = self.evaluator.list_of(call.each, &call.list).ok()?;
        let bound = self.evaluator.eval(clause.bound).ok()?;
        let hits = self.hits(call, &list, true)?;
        let claim = if clause.verdict {
            String::new()
        } else {
            self.claim(clause, &bound)
        };
        self.tell(call, &list, &hits, true, &claim)
    }

    /// The elements of which the predicate is `wanted`. One that it cannot say anything of is none.
    fn hits(&mut self, call: &'a EachCall, list: &List<'a>, wanted: bool) -> Option<Vec<Hit<'a>>> {
        let body = call.body.as_ref()?;
        if list.len() > EXPLAINED {
            return None;
        }
        let mut hits = Vec::new();
        for index in 0..list.len() {
            let frame = Frame {
                element: Element::of(list, index)?,
                index,
                accumulator: Value::Nil,
            };
            let found = self.within(&frame, |explainer| {
                let verdict = explainer.evaluator.truth(body).ok()?;
                if verdict != wanted {
                    return None;
                }
                explainer.leaf(body, verdict)
            });
            if let Some((leaf, verdict)) = found {
                hits.push(Hit {
                    frame,
                    leaf,
                    verdict,
                });
            }
        }
        Some(hits)
    }

    /// The part of a predicate that made it `verdict` for the element in view, preferably one that compares a number.
    fn leaf(&mut self, body: &'a Expr, verdict: bool) -> Option<(&'a Expr, bool)> {
        match &body.kind {
            Kind::Not(inner) => self.leaf(inner, !verdict),
            Kind::Logic {
                connective, parts, ..
            } => self.leaf_of(parts, connective.decisive(), verdict),
            Kind::Conditional(parts) => {
                let condition = self.evaluator.truth(&parts[0]).ok()?;
                self.leaf(if condition { &parts[1] } else { &parts[2] }, verdict)
            }
            Kind::Elvis(sides) => {
                let condition = self.evaluator.truth(&sides[0]).ok()?;
                self.leaf(&sides[usize::from(!condition)], verdict)
            }
            Kind::Let { slot, value, body } => {
                self.evaluator.slots[*slot] = self.evaluator.eval(value).ok()?;
                self.leaf(body, verdict)
            }
            Kind::Sequence(parts) => self.leaf(parts.last()?, verdict),
            _ => Some((body, verdict)),
        }
    }

    /// Gives the names that a predicate binds their values for the element in view.
    fn bind(&mut self, body: &'a Expr, verdict: bool) {
        if matches!(body.kind, Kind::Let { .. }) {
            self.leaf(body, verdict);
        }
    }

    fn leaf_of(
        &mut self,
        parts: &'a [Expr],
        decisive: bool,
        verdict: bool,
    ) -> Option<(&'a Expr, bool)> {
        if verdict == decisive {
            for part in parts {
                if self.evaluator.truth(part).ok()? == decisive {
                    return self.leaf(part, verdict);
                }
            }
            return None;
        }
        let compares = |part: &&Expr| matches!(part.kind, Kind::Binary(Operator::Compare(_), _));
        let part = parts.iter().find(compares).or(parts.last())?;
        self.leaf(part, verdict)
    }

    /// Says what the hits have in common, and names them.
    fn tell(
        &mut self,
        call: &'a EachCall,
        list: &List<'a>,
        hits: &[Hit<'a>],
        told: bool,
        claim: &str,
    ) -> Option<String> {
        let body = call.body.as_ref()?;
        let first = hits.first();
        if let Some(Hit {
            frame,
            leaf,
            verdict,
        }) = first
            && let Kind::Each(_) = leaf.kind
        {
            // What is told is within the first of them.
            return self.within(frame, |explainer| explainer.of(leaf, *verdict));
        }
        let is_uniform = hits.iter().all(|hit| {
            first.is_none_or(|first| {
                std::ptr::eq(first.leaf, hit.leaf) && first.verdict == hit.verdict
            })
        });
        let (leaf, verdict) = match first {
            Some(hit) if is_uniform => (hit.leaf, hit.verdict),
            Some(_) => (body, told),
            None => likely_leaf(body, told),
        };
        let points = Points::of(&mut self.evaluator, &call.list, list);
        let noun =
            if points.is_none() && !matches!(leaf.kind, Kind::Binary(Operator::Compare(_), _)) {
                "elements"
            } else {
                "points"
            };
        let clause = match &leaf.kind {
            Kind::Binary(operator, sides) => Some(clause(*operator, sides, verdict)),
            _ => None,
        };
        let frame = first.map(|hit| hit.frame.clone()).unwrap_or_default();
        let phrase = self.within(&frame, |explainer| {
            explainer.bind(body, told);
            explainer.phrase(leaf, verdict, clause.as_ref())
        });
        let number = match hits.len() {
            0 => format!("none of {} {noun} {phrase}{claim}", list.len()),
            number => format!("{number} of {} {noun} {phrase}{claim}", list.len()),
        };
        let named = self.named(hits, points.as_ref(), |explainer| {
            explainer.bind(body, told);
            explainer.value(clause.as_ref())
        });
        Some(if named.is_empty() {
            number
        } else {
            format!("{number}: {named}")
        })
    }

    /// The first hits by their times and values, and all of them as the points that decided.
    fn named(
        &mut self,
        hits: &[Hit<'a>],
        points: Option<&Points<'a>>,
        value: impl Fn(&mut Self) -> Option<String>,
    ) -> String {
        let places = hits.iter().filter_map(|hit| points?.place(hit.frame.index));
        self.points.extend(places);
        let mut named: Vec<String> = Vec::new();
        for hit in hits.iter().take(SHOWN) {
            let index = hit.frame.index;
            let time = points.and_then(|points| points.time(index));
            let mut text = time.unwrap_or_else(|| format!("#{index}"));
            if let Some(value) = self.within(&hit.frame, &value) {
                text.push(' ');
                text.push_str(&value);
            }
            named.push(text);
        }
        if hits.len() > SHOWN {
            named.push("…".to_owned());
        }
        named.join(", ")
    }

    /// `below 9900`, or `where .ok is false`.
    fn phrase(&mut self, leaf: &'a Expr, verdict: bool, clause: Option<&Clause<'a>>) -> String {
        let known = clause.and_then(|clause| {
            let effective = effective(clause.operator, clause.verdict)?;
            let bound = match &clause.bound.kind {
                Kind::Literal(_) => self.source(clause.bound),
                _ => shown(&self.evaluator.eval(clause.bound).ok()?, None),
            };
            Some(format!("{effective} {bound}"))
        });
        known.unwrap_or_else(|| format!("where {} is {verdict}", self.source(leaf)))
    }

    /// The value of the element in view: what was compared, or the element where it is short.
    fn value(&mut self, clause: Option<&Clause<'a>>) -> Option<String> {
        if let Some(clause) = clause {
            let value = self.evaluator.eval(clause.subject).ok()?;
            let bound = self.evaluator.eval(clause.bound).ok();
            return Some(shown(&value, bound.and_then(|bound| bound.number())));
        }
        match self.evaluator.frame.element.value() {
            Value::List(_) | Value::Map(_) => None,
            element => Some(shown(&element, None)),
        }
    }

    /// ` at 12:07`, where a `min` or `max` of a list was met.
    fn place_of_extreme(&mut self, subject: &'a Expr, value: &Value<'a>) -> Option<String> {
        let Kind::Call {
            function: Function::Max | Function::Min,
            arguments,
        } = &subject.kind
        else {
            return None;
        };
        let [argument] = arguments.as_slice() else {
            return None;
        };
        let Ok(Value::List(list)) = self.evaluator.eval(argument) else {
            return None;
        };
        let index = list
            .iter()
            .position(|item| super::value::equal(&item, value))?;
        let points = Points::of(&mut self.evaluator, argument, &list)?;
        self.points.extend(points.place(index));
        points.time(index).map(|time| format!(" at {time}"))
    }

    fn within<T>(&mut self, frame: &Frame<'a>, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.evaluator.frame, frame.clone());
        let done = work(self);
        self.evaluator.frame = outer;
        done
    }

    /// How an expression is written, on one line and not too long.
    fn source(&self, expression: &Expr) -> String {
        let written: Vec<&str> = self
            .evaluator
            .text_of(expression)
            .split_whitespace()
            .collect();
        shortened(&written.join(" "))
    }
}

/// What a text does or doesn't.
fn verb(operator: Operator) -> Option<(&'static str, &'static str)> {
    match operator {
        Operator::Matches => Some(("matches", "match")),
        Operator::Contains => Some(("contains", "contain")),
        Operator::StartsWith => Some(("starts with", "start with")),
        Operator::EndsWith => Some(("ends with", "end with")),
        _ => None,
    }
}

/// The part of a predicate to speak of where it was never `told`.
fn likely_leaf(body: &Expr, told: bool) -> (&Expr, bool) {
    match &body.kind {
        Kind::Not(inner) => likely_leaf(inner, !told),
        _ => (body, told),
    }
}
