//! Puts the meter into a tree: what loops, grows or compiles goes through a function that pays for it.
//!
//! `xs.all(x, …)` becomes a loop over `@range(@meter, xs, weight)`, `a + b` becomes `@add(@meter, a, b)`, what is put
//! into a list or map `@keep(@meter, …)`, and a list or map that was made one that is shared: `@list(@meter, …)`.

use std::mem;

use cel_interpreter::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::environment::{ADD, DEFAULT, IS_NIL, KEEP, LIST, MAP, MATCHES, METER, RANGE};
use super::tree::{is_named, weight};

/// The same expression with a meter in it.
pub(super) fn metered(mut node: IdedExpr) -> IdedExpr {
    match &mut node.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => node,
        Expr::Select(select) => {
            meter_in(&mut select.operand);
            node
        }
        Expr::Call(call) => {
            meter_call(call);
            node
        }
        Expr::List(list) => {
            list.elements.iter_mut().for_each(keep_in);
            paid(LIST, node)
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                match &mut entry.expr {
                    EntryExpr::StructField(field) => keep_in(&mut field.value),
                    EntryExpr::MapEntry(entry) => {
                        keep_in(&mut entry.key);
                        keep_in(&mut entry.value);
                    }
                }
            }
            paid(MAP, node)
        }
        Expr::Comprehension(comprehension) => {
            meter_loop(comprehension);
            paid(LIST, node)
        }
    }
}

fn meter_in(node: &mut IdedExpr) {
    *node = metered(mem::take(node));
}

fn keep_in(node: &mut IdedExpr) {
    let is_small = matches!(
        node.expr,
        Expr::Literal(LiteralValue::Boolean(_) | LiteralValue::Null)
    );
    meter_in(node);
    if !is_small {
        *node = paid(KEEP, mem::take(node));
    }
}

fn meter_call(call: &mut CallExpr) {
    if matches!(call.func_name.as_str(), DEFAULT | IS_NIL)
        && call.target.is_none()
        && let Some(first) = call.args.first_mut()
    {
        optional_in(first);
    }
    if let Some(target) = &mut call.target {
        meter_in(target);
    }
    call.args.iter_mut().for_each(meter_in);
    match call.func_name.as_str() {
        operators::ADD => {
            ADD.clone_into(&mut call.func_name);
            call.args.insert(0, meter());
        }
        "matches" => {
            MATCHES.clone_into(&mut call.func_name);
            if let Some(target) = call.target.take() {
                call.args.insert(0, *target);
            }
            call.args.insert(0, meter());
        }
        _ => {}
    }
}

fn meter_loop(comprehension: &mut ComprehensionExpr) {
    let weight = weight(&comprehension.loop_cond) + weight(&comprehension.loop_step);
    // What binds a name is a loop over nothing.
    let is_loop = !is_empty_list(&comprehension.iter_range);
    if is_loop {
        meter_in(&mut comprehension.iter_range);
        let mut range = paid(RANGE, mem::take(&mut comprehension.iter_range));
        if let Expr::Call(call) = &mut range.expr {
            call.args.push(number(weight));
        }
        comprehension.iter_range = range;
    }
    // The interpreter appends to an empty list of its own in place, where it sees `@result + […]`.
    if !is_empty_list(&comprehension.accu_init) {
        meter_in(&mut comprehension.accu_init);
    }
    meter_in(&mut comprehension.loop_cond);
    meter_step(&mut comprehension.loop_step, &comprehension.accu_var);
    meter_in(&mut comprehension.result);
}

/// Meters a step, but leaves `@result + […]` itself as it is.
fn meter_step(step: &mut IdedExpr, accumulator: &str) {
    let Expr::Call(call) = &mut step.expr else {
        return meter_in(step);
    };
    match (call.func_name.as_str(), call.args.as_mut_slice()) {
        (operators::CONDITIONAL, [condition, then, otherwise]) => {
            meter_in(condition);
            meter_step(then, accumulator);
            meter_in(otherwise);
        }
        (operators::ADD, [sum, added]) if is_named(sum, accumulator) => match &mut added.expr {
            Expr::List(list) => list.elements.iter_mut().for_each(keep_in),
            _ => meter_in(added),
        },
        _ => meter_in(step),
    }
}

/// A way to a value, as one that gives an optional: nothing where it leads nowhere.
fn optional_in(node: &mut IdedExpr) {
    let way = match &mut node.expr {
        Expr::Select(select) if !select.test => {
            let name = LiteralValue::String(mem::take(&mut select.field).into());
            let name = IdedExpr {
                id: node.id,
                expr: Expr::Literal(name),
            };
            Some((operators::OPT_SELECT, mem::take(&mut *select.operand), name))
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_mut_slice() {
            [object, key] => Some((operators::OPT_INDEX, mem::take(object), mem::take(key))),
            _ => None,
        },
        _ => None,
    };
    if let Some((operator, mut object, key)) = way {
        optional_in(&mut object);
        // The same id tells it from an optional way that was written.
        node.id = key.id;
        node.expr = Expr::Call(CallExpr {
            func_name: operator.to_owned(),
            target: None,
            args: vec![object, key],
        });
    }
}

/// `function(@meter, node)`, in the place of `node`.
fn paid(function: &str, node: IdedExpr) -> IdedExpr {
    IdedExpr {
        id: node.id,
        expr: Expr::Call(CallExpr {
            func_name: function.to_owned(),
            target: None,
            args: vec![meter(), node],
        }),
    }
}

fn meter() -> IdedExpr {
    IdedExpr {
        id: 0,
        expr: Expr::Ident(METER.to_owned()),
    }
}

fn number(number: usize) -> IdedExpr {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    IdedExpr {
        id: 0,
        expr: Expr::Literal(LiteralValue::Int(number.into())),
    }
}

fn is_empty_list(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::List(list) if list.elements.is_empty())
}
