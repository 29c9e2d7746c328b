//! The short way to what conditions compare most: a number that stands in the JSON already.
//!
//! `asFloat(.value) >= 9900` is asked of each of 1,440 points, and a value that is made, moved and dropped for each node of it
//! costs many times what the comparison does. A glance follows members to a number without making any value.
//! What it cannot see it leaves to the evaluator, which knows all the types and has all the errors.

use serde_json::Value as Json;

use super::ast::{Comparison, Expr, Kind, Operator};
use super::eval::{Element, Evaluator};
use super::function::Function;
use super::gotext::parse_float;
use super::value::Value;

impl<'a> Evaluator<'a> {
    /// Whether `operator` holds between two numbers; `None` where they cannot be had at a glance, or are both integers.
    pub(super) fn glance(&mut self, operator: Operator, sides: &'a [Expr; 2]) -> Option<bool> {
        let Operator::Compare(comparison) = operator else {
            return None;
        };
        let [left, right] = sides;
        // Nothing branches below, so that each side has as many nodes as it is high.
        let rest = self.budget.after(left.height + right.height)?;
        let (l, r) = match (&left.kind, &right.kind) {
            (_, Kind::Literal(bound)) => (self.float(left)?, bound.number()?),
            (Kind::Literal(bound), _) => (bound.number()?, self.float(right)?),
            _ => (self.float(left)?, self.float(right)?),
        };
        self.budget = rest;
        Some(match comparison {
            Comparison::Less => l < r,
            Comparison::LessOrEqual => l <= r,
            Comparison::Greater => l > r,
            Comparison::GreaterOrEqual => l >= r,
        })
    }

    /// The JSON that `expression`, for which a step has been paid, is a path to.
    pub(super) fn glance_at(&mut self, expression: &'a Expr) -> Option<&'a Json> {
        let rest = self.budget.after(expression.height - 1)?;
        let json = self.lent(expression)?;
        self.budget = rest;
        Some(json)
    }

    /// The float that `expression` is.
    fn float(&self, expression: &'a Expr) -> Option<f64> {
        match &expression.kind {
            Kind::Element => match &self.frame.element {
                Element::Json(json) => json.as_f64(),
                Element::Made(Value::Float(value)) => Some(*value),
                Element::Made(_) => None,
            },
            Kind::Member { .. } => self.lent(expression)?.as_f64(),
            Kind::Call {
                function: Function::AsFloat,
                arguments,
            } => match self.lent(arguments.first()?)? {
                Json::Number(number) => number.as_f64(),
                Json::String(text) => parse_float(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The JSON that `expression` is a path to.
    fn lent(&self, expression: &'a Expr) -> Option<&'a Json> {
        match &expression.kind {
            Kind::Result => Some(self.scope.result),
            Kind::Element => match &self.frame.element {
                Element::Json(json) => Some(json),
                Element::Made(_) => None,
            },
            Kind::Member { object, name, .. } => self.lent(object)?.as_object()?.get(&**name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::Offset;
    use serde_json::{Value as Json, json};

    use crate::domain::condition::{Condition, Scope};
    use crate::domain::window::Step;

    /// The outcome of `condition` for `element`, in words.
    fn outcome(condition: &str, element: &Json) -> String {
        let result = json!({"list": [element]});
        let scope = Scope {
            result: &result,
            series: &[],
            zone: Offset::UTC,
            step: Step::Minute,
            now: Timestamp::UNIX_EPOCH,
        };
        let condition = Condition::parse(condition).unwrap();
        match condition.holds(&scope) {
            Ok(holds) => holds.to_string(),
            Err(error) => error.message,
        }
    }

    /// A name that `let` binds is not looked at at a glance.
    #[test]
    fn a_glance_sees_what_a_long_look_sees() {
        let points = [
            json!({"value": 9900}),
            json!({"value": 9899.999}),
            json!({"value": -0.0}),
            json!({"value": 9_007_199_254_740_993_u64}),
            json!({"value": "9900"}),
            json!({"value": "0x1p4"}),
            json!({"value": "NaN"}),
            json!({"value": "-Inf"}),
            json!({"value": "many"}),
            json!({"value": null}),
            json!({"value": true}),
            json!({"value": [9900]}),
            json!({"value": {"value": 9900}}),
            json!({"other": 9900}),
            json!({}),
            json!([9900]),
            json!("9900"),
            json!(9900),
            json!(null),
        ];
        let subjects = [
            "#",
            ".value",
            ".value.value",
            "asFloat(#)",
            "asFloat(.value)",
            "asFloat(.value.value)",
            "(# ?? 1)",
        ];
        for subject in subjects {
            for bound in ["9900", "9899.5", "9007199254740992", "-1"] {
                for operator in ["<", "<=", ">", ">=", "==", "!="] {
                    let glance = format!("all(result.list, {subject} {operator} {bound})");
                    let long =
                        format!("all(result.list, {{let it = {subject}; it {operator} {bound}}})");
                    let mirrored = format!("all(result.list, {bound} {operator} {subject})");
                    let long_mirrored =
                        format!("all(result.list, {{let it = {subject}; {bound} {operator} it}})");
                    for point in &points {
                        let both = |glance: &str, long: &str| {
                            assert_eq!(
                                outcome(glance, point),
                                outcome(long, point),
                                "{glance} on {point}"
                            );
                        };
                        both(&glance, &long);
                        both(&mirrored, &long_mirrored);
                    }
                }
            }
        }
    }

    #[test]
    fn integers_are_compared_as_such() {
        let element = json!(0);
        let check = |condition, expected: &str| {
            assert_eq!(outcome(condition, &element), expected, "{condition}");
        };
        check(
            "all(9007199254740993..9007199254740993, # > 9007199254740992)",
            "true",
        );
        check("9007199254740993 > 9007199254740992", "true");
    }

    #[test]
    fn a_glance_is_paid_for() {
        let element = json!({"a": {"b": 1}});
        let nested = "all(1..1500, all(1..1500, result.list[0].a.b > 0 and result.list != nil))";
        assert_eq!(
            outcome(nested, &element),
            "step budget exceeded: more than 2,000,000 steps"
        );
    }
}
