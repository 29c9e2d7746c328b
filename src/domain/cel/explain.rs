//! Why a condition held or didn't, in the words of the other dialect: `3 of 5 points below 9900: 12:04 9611, …`.
//!
//! The parts that decided are evaluated once more; nothing of it slows [`super::Program::holds`].

use cel_interpreter::Context;
use cel_interpreter::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use cel_interpreter::common::value::Val;

use super::Program;
use super::clause::{Clause, claim, clause, comparison, phrase};
use super::evaluate::{Seen, evaluate, number, shown, truth};
use super::retrace::Retrace;
use super::tree::{Loop, LoopKind, binary, is_named, loop_of, written};
use super::written::in_short;
use crate::domain::condition::{Reason, Scope};
use crate::domain::expr::{Operator, Points};

/// So many points are named, the others are `…`.
const SHOWN: usize = 5;

/// Why `program`, which evaluates without an error, is `holds`.
pub(super) fn reason(program: &Program, scope: &Scope<'_>, holds: bool) -> Reason {
    let meter = program.meter();
    let Ok(context) = program.context(scope, &meter) else {
        return Reason::default();
    };
    let mut explainer = Explainer {
        retrace: Retrace::new(program, scope, &meter),
        points: Vec::new(),
    };
    let text = explainer.of(&program.root, holds, &context);
    if meter.exceeded().is_some() {
        // Looking again took more than evaluating did: part of what was seen is missing.
        return Reason {
            text: format!("{} is {holds}", in_short(&program.root)),
            points: Vec::new(),
        };
    }
    explainer.points.sort_unstable();
    explainer.points.dedup();
    Reason {
        text: text.unwrap_or_default(),
        points: explainer.points,
    }
}

struct Explainer<'a> {
    retrace: Retrace<'a>,
    points: Vec<(usize, usize)>,
}

/// An element about which something is told.
struct Hit<'a> {
    index: usize,
    element: Box<dyn Val + 'a>,
    /// The part of the predicate that decided, and how.
    leaf: &'a IdedExpr,
    verdict: bool,
}

impl<'a> Explainer<'a> {
    /// Why `node` is `holds`; `None` where there is nothing to add.
    fn of(&mut self, node: &'a IdedExpr, holds: bool, context: &Context<'_, 'a>) -> Option<String> {
        let node = written(node);
        match &node.expr {
            Expr::Literal(_) => None,
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::LOGICAL_NOT, [inner]) => self.of(inner, !holds, context),
                (operators::LOGICAL_AND | operators::LOGICAL_OR, parts) => {
                    self.of_parts(parts, decisive(call), holds, context)
                }
                (operators::CONDITIONAL, [condition, then, otherwise]) => {
                    let chosen = truth(condition, context)?;
                    self.of(if chosen { then } else { otherwise }, holds, context)
                }
                _ => match clause(node, holds, None) {
                    Some(clause) => self.of_clause(&clause, context),
                    None => Self::of_value(node, context),
                },
            },
            Expr::Comprehension(comprehension) => match loop_of(comprehension) {
                Some(found) if found.kind.asks() => self.of_loop(found, holds, context),
                _ => Self::of_value(node, context),
            },
            _ => Self::of_value(node, context),
        }
    }

    fn of_value(node: &'a IdedExpr, context: &Context<'_, 'a>) -> Option<String> {
        let value = shown(node, context, None)?;
        Some(format!("{} is {value}", in_short(node)))
    }

    /// `&&` and `||`: the first part that decides, or else all of them.
    fn of_parts(
        &mut self,
        parts: &'a [IdedExpr],
        decisive: bool,
        holds: bool,
        context: &Context<'_, 'a>,
    ) -> Option<String> {
        if holds == decisive {
            let decider = parts
                .iter()
                .find(|part| truth(part, context) == Some(decisive))?;
            return self.of(decider, decisive, context);
        }
        let texts: Vec<String> = parts
            .iter()
            .filter_map(|part| self.of(part, holds, context))
            .collect();
        Some(texts.join("; ")).filter(|text| !text.is_empty())
    }

    /// `result.rate is 0.5, not >= 1`
    fn of_clause(&mut self, clause: &Clause<'a>, context: &Context<'_, 'a>) -> Option<String> {
        if let Some(filter) = counted(clause.subject) {
            return self.of_count(filter, clause, context);
        }
        let value = shown(clause.subject, context, number(clause.bound, context))?;
        let claim = claim(clause, context)?;
        Some(format!("{} is {value}{claim}", in_short(clause.subject)))
    }

    /// `3 of 5 points below 9900: 12:04 9611, 12:05 9702, 12:07 9433`
    fn of_loop(&mut self, of: Loop<'a>, holds: bool, context: &Context<'_, 'a>) -> Option<String> {
        let told = of.kind != LoopKind::All || holds;
        self.tell(of, told, "", context)
    }

    /// `2 of 5 points below 5000, not 0: 12:04 4999, 12:05 4321`
    fn of_count(
        &mut self,
        filter: Loop<'a>,
        clause: &Clause<'a>,
        context: &Context<'_, 'a>,
    ) -> Option<String> {
        let claim = if clause.verdict {
            String::new()
        } else {
            claim(clause, context)?
        };
        self.tell(filter, true, &claim, context)
    }

    /// Says of how many elements the predicate is `told`, what they have in common, and names them.
    fn tell(
        &mut self,
        of: Loop<'a>,
        told: bool,
        claim: &str,
        context: &Context<'_, 'a>,
    ) -> Option<String> {
        let elements = self.retrace.elements(of, context)?;
        let number = elements.len();
        if number == 0 {
            return Some(format!("{} is empty", in_short(of.list)));
        }
        let hits = hits(of, elements, told, context);
        let mut inner = context.new_inner_scope();
        let first = hits.first();
        if let Some(hit) = first
            && is_loop(hit.leaf)
        {
            // What is told is within the first of them.
            inner.add_variable_as_val(of.variable, hit.element.clone());
            let json = self.retrace.items(of.list);
            let json = json.and_then(|items| items.get(hit.index));
            self.retrace.bind(of.variable, json);
            let text = self.of(hit.leaf, hit.verdict, &inner);
            self.retrace.unbind();
            return text;
        }
        let is_uniform = hits.iter().all(|hit| {
            first.is_none_or(|first| {
                std::ptr::eq(first.leaf, hit.leaf) && first.verdict == hit.verdict
            })
        });
        let (leaf, verdict) = match first {
            Some(hit) if is_uniform => (hit.leaf, hit.verdict),
            Some(_) => (of.body, told),
            None => likely_leaf(of.body, told),
        };
        let clause = clause(leaf, verdict, Some(of.variable));
        let points = self.points_of(of.list, number);
        let compares = clause.is_some_and(|it| matches!(it.operator, Operator::Compare(_)));
        let noun = if points.is_none() && !compares {
            "elements"
        } else {
            "points"
        };
        if let Some(hit) = first {
            inner.add_variable_as_val(of.variable, hit.element.clone());
        }
        let phrase = phrase(leaf, verdict, clause.as_ref(), &inner);
        let how_many = match hits.len() {
            0 => "none".to_owned(),
            hits => hits.to_string(),
        };
        let told = format!("{how_many} of {number} {noun} {phrase}{claim}");
        let named = self.named(of, &hits, points.as_ref(), clause.as_ref(), inner);
        Some(if named.is_empty() {
            told
        } else {
            format!("{told}: {named}")
        })
    }

    /// The first hits by their times and values, and all of them as the points that decided.
    fn named(
        &mut self,
        of: Loop<'a>,
        hits: &[Hit<'a>],
        points: Option<&Points<'a>>,
        clause: Option<&Clause<'a>>,
        mut inner: Context<'_, 'a>,
    ) -> String {
        let places = hits.iter().filter_map(|hit| points?.place(hit.index));
        self.points.extend(places);
        let mut named: Vec<String> = Vec::new();
        for hit in hits.iter().take(SHOWN) {
            let time = points.and_then(|points| points.time(hit.index));
            let mut text = time.unwrap_or_else(|| format!("#{}", hit.index));
            inner.add_variable_as_val(of.variable, hit.element.clone());
            if let Some(value) = value_of(of, clause, &inner) {
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

    fn points_of(&self, list: &IdedExpr, length: usize) -> Option<Points<'a>> {
        let scope = self.retrace.scope;
        let list = written(list);
        let of_series = |name: Option<&str>| {
            let place = scope.place_of_series(name).ok()?;
            Points::of_series(scope, place)
        };
        if is_named(list, "values") && !self.retrace.is_bound("values") {
            return of_series(None);
        }
        if let Some(name) = series_name(list)
            && !self.retrace.is_bound("series")
        {
            return of_series(Some(name));
        }
        Points::of_list(scope, self.retrace.items(list), length)
    }
}

/// The elements of which the predicate is `wanted`. One that it cannot say anything of is none.
fn hits<'a>(
    of: Loop<'a>,
    elements: Vec<Box<dyn Val + 'a>>,
    wanted: bool,
    context: &Context<'_, 'a>,
) -> Vec<Hit<'a>> {
    let mut inner = context.new_inner_scope();
    let mut hits = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        inner.add_variable_as_val(of.variable, element.clone());
        if truth(of.body, &inner) != Some(wanted) {
            continue;
        }
        if let Some((leaf, verdict)) = leaf(of.body, wanted, &inner) {
            hits.push(Hit {
                index,
                element,
                leaf,
                verdict,
            });
        }
    }
    hits
}

/// What settles `&&` or `||`.
fn decisive(call: &CallExpr) -> bool {
    call.func_name == operators::LOGICAL_OR
}

/// The part of a predicate that made it `verdict`, preferably one that compares a number.
fn leaf<'a>(
    node: &'a IdedExpr,
    verdict: bool,
    context: &Context<'_, 'a>,
) -> Option<(&'a IdedExpr, bool)> {
    let node = written(node);
    let Expr::Call(call) = &node.expr else {
        return Some((node, verdict));
    };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_NOT, [inner]) => leaf(inner, !verdict, context),
        (operators::LOGICAL_AND | operators::LOGICAL_OR, parts) => {
            if verdict == decisive(call) {
                let decider = parts
                    .iter()
                    .find(|part| truth(part, context) == Some(verdict))?;
                return leaf(decider, verdict, context);
            }
            let compares =
                |part: &&IdedExpr| binary(part).is_some_and(|(it, ..)| comparison(it).is_some());
            leaf(
                parts.iter().find(compares).or(parts.last())?,
                verdict,
                context,
            )
        }
        (operators::CONDITIONAL, [condition, then, otherwise]) => {
            let chosen = truth(condition, context)?;
            leaf(if chosen { then } else { otherwise }, verdict, context)
        }
        _ => Some((node, verdict)),
    }
}

/// The part of a predicate to speak of where it was never `told`.
fn likely_leaf(node: &IdedExpr, told: bool) -> (&IdedExpr, bool) {
    let node = written(node);
    if let Expr::Call(call) = &node.expr
        && let (operators::LOGICAL_NOT, [inner]) = (call.func_name.as_str(), call.args.as_slice())
    {
        return likely_leaf(inner, !told);
    }
    (node, told)
}

/// `list.filter(x, …)`, where `node` is its size.
fn counted(node: &IdedExpr) -> Option<Loop<'_>> {
    let Expr::Call(call) = &written(node).expr else {
        return None;
    };
    let list = match (call.func_name.as_str(), &call.target, call.args.as_slice()) {
        ("size", Some(target), []) => target,
        ("size", None, [list]) => list,
        _ => return None,
    };
    match &written(list).expr {
        Expr::Comprehension(comprehension) => {
            loop_of(comprehension).filter(|found| found.kind == LoopKind::Filter)
        }
        _ => None,
    }
}

fn is_loop(node: &IdedExpr) -> bool {
    match &written(node).expr {
        Expr::Comprehension(comprehension) => {
            loop_of(comprehension).is_some_and(|found| found.kind.asks())
        }
        _ => false,
    }
}

/// The name in `series["name"]` or `series.name`.
fn series_name(node: &IdedExpr) -> Option<&str> {
    if let Expr::Select(select) = &node.expr
        && is_named(&select.operand, "series")
    {
        return Some(&select.field);
    }
    match binary(node)? {
        (operators::INDEX, object, key) if is_named(object, "series") => match &key.expr {
            Expr::Literal(LiteralValue::String(name)) => Some(name.inner()),
            _ => None,
        },
        _ => None,
    }
}

/// What was compared of an element, or the element where it is short.
fn value_of(
    of: Loop<'_>,
    clause: Option<&Clause<'_>>,
    context: &Context<'_, '_>,
) -> Option<String> {
    if let Some(clause) = clause {
        return shown(clause.subject, context, number(clause.bound, context));
    }
    let element = IdedExpr {
        id: 0,
        expr: Expr::Ident(of.variable.to_owned()),
    };
    match evaluate(&element, context).ok()? {
        Seen::Plain(_) => shown(&element, context, None),
        Seen::Other(_) => None,
    }
}
