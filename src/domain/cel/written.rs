//! An expression as somebody would write it, for reasons. The interpreter keeps where a node stands, not how far it goes.

use cel_interpreter::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::environment::MATCHES;
use super::tree::{Loop, binary, loop_of, written};
use crate::domain::expr::shortened;

/// What `optMap` binds its target to, where that isn't a name.
const TARGET: &str = "@target";

/// How tightly an expression holds together; one that holds less than its place asks for stands in parentheses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Conditional,
    Or,
    And,
    Relation,
    Sum,
    Product,
    Unary,
    Member,
}

/// `node` as text on one line.
pub(super) fn text_of(node: &IdedExpr) -> String {
    let mut out = String::new();
    write(&mut out, node, Binding::Conditional);
    out
}

/// The same where it is not too long, or its beginning.
pub(super) fn in_short(node: &IdedExpr) -> String {
    shortened(&text_of(node))
}

/// A literal as text, numbers in their shortest form; `None` for any other expression.
pub(super) fn literal_text(node: &IdedExpr) -> Option<String> {
    let Expr::Literal(literal) = &written(node).expr else {
        return None;
    };
    Some(match literal {
        LiteralValue::Double(number) => number.inner().to_string(),
        LiteralValue::UInt(number) => number.inner().to_string(),
        LiteralValue::Boolean(_)
        | LiteralValue::Bytes(_)
        | LiteralValue::Int(_)
        | LiteralValue::Null
        | LiteralValue::String(_) => text_of(node),
    })
}

fn write(out: &mut String, node: &IdedExpr, least: Binding) {
    let node = written(node);
    let binding = binding_of(node);
    if binding < least {
        out.push('(');
    }
    match &node.expr {
        Expr::Unspecified => {}
        Expr::Literal(literal) => write_literal(out, literal),
        Expr::Ident(name) => out.push_str(name),
        Expr::Select(select) => {
            if select.test {
                out.push_str("has(");
            }
            write(out, &select.operand, Binding::Member);
            out.push('.');
            out.push_str(&select.field);
            if select.test {
                out.push(')');
            }
        }
        Expr::Call(call) => write_call(out, node, call),
        Expr::List(list) => {
            out.push('[');
            write_all(out, &list.elements);
            out.push(']');
        }
        Expr::Map(map) => {
            out.push('{');
            for (index, entry) in map.entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    write(out, &entry.key, Binding::Conditional);
                    out.push_str(": ");
                    write(out, &entry.value, Binding::Conditional);
                }
            }
            out.push('}');
        }
        Expr::Struct(made) => out.push_str(&made.type_name),
        Expr::Comprehension(comprehension) => match loop_of(comprehension) {
            Some(found) => write_loop(out, found),
            None if comprehension.accu_var == TARGET => {
                write(out, &comprehension.accu_init, Binding::Member);
                out.push_str(".optMap(…)");
            }
            None => write(out, &comprehension.result, least),
        },
    }
    if binding < least {
        out.push(')');
    }
}

fn write_all(out: &mut String, nodes: &[IdedExpr]) {
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, node, Binding::Conditional);
    }
}

fn write_loop(out: &mut String, found: Loop<'_>) {
    write(out, found.list, Binding::Member);
    out.push('.');
    out.push_str(found.kind.name());
    out.push('(');
    out.push_str(found.variable);
    for part in [Some(found.body), found.made].into_iter().flatten() {
        out.push_str(", ");
        write(out, part, Binding::Conditional);
    }
    out.push(')');
}

fn write_call(out: &mut String, node: &IdedExpr, call: &CallExpr) {
    let binding = binding_of(node);
    if let Some((operator, left, right)) = binary(node) {
        let way = match operator {
            operators::INDEX => Some(("[", "]")),
            operators::OPT_INDEX if right.id == node.id => Some(("[", "]")),
            operators::OPT_INDEX => Some(("[?", "]")),
            _ => None,
        };
        if let Some((open, close)) = way {
            write(out, left, Binding::Member);
            out.push_str(open);
            write(out, right, Binding::Conditional);
            out.push_str(close);
            return;
        }
        if operator == operators::OPT_SELECT {
            write(out, left, Binding::Member);
            // With one id they are an argument of `default` or `isNil`, which was not written with a `?`.
            out.push_str(if right.id == node.id { "." } else { ".?" });
            if let Expr::Literal(LiteralValue::String(name)) = &right.expr {
                out.push_str(name.inner());
            }
            return;
        }
        if let Some(symbol) = symbol_of(operator) {
            write(out, left, binding);
            out.push(' ');
            out.push_str(symbol);
            out.push(' ');
            write(out, right, tighter(binding));
            return;
        }
    }
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_NOT, [of]) => {
            out.push('!');
            write(out, of, Binding::Unary);
        }
        (operators::NEGATE, [of]) => {
            out.push('-');
            write(out, of, Binding::Unary);
        }
        (operators::CONDITIONAL, [condition, then, otherwise]) => {
            write(out, condition, Binding::Or);
            out.push_str(" ? ");
            write(out, then, Binding::Or);
            out.push_str(" : ");
            write(out, otherwise, Binding::Conditional);
        }
        (MATCHES, [_, text, pattern]) => {
            write(out, text, Binding::Member);
            out.push_str(".matches(");
            write(out, pattern, Binding::Conditional);
            out.push(')');
        }
        (name, arguments) => {
            let arguments = if name.starts_with('@') {
                arguments.get(1..).unwrap_or_default()
            } else {
                arguments
            };
            if let Some(target) = &call.target {
                write(out, target, Binding::Member);
                out.push('.');
            }
            out.push_str(name.trim_start_matches('@'));
            out.push('(');
            write_all(out, arguments);
            out.push(')');
        }
    }
}

fn write_literal(out: &mut String, literal: &LiteralValue) {
    let text = match literal {
        LiteralValue::Boolean(value) => value.inner().to_string(),
        LiteralValue::Bytes(_) => "b'…'".to_owned(),
        LiteralValue::Double(number) => format!("{:?}", number.inner()),
        LiteralValue::Int(number) => number.inner().to_string(),
        LiteralValue::Null => "null".to_owned(),
        LiteralValue::String(text) => format!("{:?}", text.inner()),
        LiteralValue::UInt(number) => format!("{}u", number.inner()),
    };
    out.push_str(&text);
}

fn symbol_of(operator: &str) -> Option<&'static str> {
    Some(match operator {
        operators::LOGICAL_AND => "&&",
        operators::LOGICAL_OR => "||",
        operators::ADD => "+",
        operators::SUBSTRACT => "-",
        operators::MULTIPLY => "*",
        operators::DIVIDE => "/",
        operators::MODULO => "%",
        operators::EQUALS => "==",
        operators::NOT_EQUALS => "!=",
        operators::LESS => "<",
        operators::LESS_EQUALS => "<=",
        operators::GREATER => ">",
        operators::GREATER_EQUALS => ">=",
        operators::IN => "in",
        _ => return None,
    })
}

fn binding_of(node: &IdedExpr) -> Binding {
    if let Some((operator, _, _)) = binary(node) {
        return match operator {
            operators::LOGICAL_OR => Binding::Or,
            operators::LOGICAL_AND => Binding::And,
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::IN => Binding::Relation,
            operators::ADD | operators::SUBSTRACT => Binding::Sum,
            operators::MULTIPLY | operators::DIVIDE | operators::MODULO => Binding::Product,
            _ => Binding::Member,
        };
    }
    match &node.expr {
        Expr::Call(call) => match call.func_name.as_str() {
            operators::CONDITIONAL => Binding::Conditional,
            operators::LOGICAL_NOT | operators::NEGATE => Binding::Unary,
            _ => Binding::Member,
        },
        _ => Binding::Member,
    }
}

fn tighter(binding: Binding) -> Binding {
    match binding {
        Binding::Conditional => Binding::Or,
        Binding::Or => Binding::And,
        Binding::And => Binding::Relation,
        Binding::Relation => Binding::Sum,
        Binding::Sum => Binding::Product,
        Binding::Product => Binding::Unary,
        Binding::Unary | Binding::Member => Binding::Member,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cel::Program;

    #[test]
    fn an_expression_is_written_as_it_was() {
        let check = |source: &str| {
            let program = Program::parse(source).expect(source);
            assert_eq!(text_of(&program.root), source);
        };
        check("result.a >= 0.95 && !(result.b < 2.0 || has(result.c.d))");
        check("(result.a + 1.0) * 2.0 - -result.b / (3.0 - result.c) > 1.0");
        check("result.a - (result.b - result.c) > result.a - result.b - result.c");
        check("result[\"a\"][0] == [1, 2u, \"x\", null, true]");
        check("result.l.all(p, double(p.value) >= 9900.0)");
        check("result.l.filter(x, x > 1.0).map(y, y > 2.0, y * 2.0).exists(z, z in [1.0])");
        check("(result.a ? result.b : result.c) == (1 < 2) && {\"a\": 1}.a == 1");
        check("result.s.matches(\"^a\") && result.?a.orValue(1.0) > size(result.l)");
        check("default(result.a.b, 1.0) > 0.0 && isNil(result[\"x\"])");
        check("series[\"p=99\"].exists_one(v, v > 1.0)");
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        let check = |source: &str| {
            let written = text_of(&Program::parse(source).expect(source).root);
            let again = text_of(&Program::parse(&written).expect(&written).root);
            assert_eq!(again, written, "{source}");
        };
        check("((1)) + 2*3 > 4 == true");
        check("!!(true && (false || true)) ? (1 > 0 ? true : false) : 2 > 3 ? true : false");
        check("'it\\'s' + \"\\n\" == r'\\d'");
        check("result['a'].b[?0].orValue(1e300) >= 1e-7");
    }
}
