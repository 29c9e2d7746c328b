//! Puts arguments into an MQE expression without letting them change its shape.

use super::super::args::{Arguments, Piece, pieces};
use super::super::fault::{Fault, shown};

/// Renders `template`. Inside quotes a value is text and must not end them; elsewhere it must be one name or one number.
/// An expression that is nothing but one argument is its caller's to write.
pub(super) fn render(template: &str, args: &Arguments) -> Result<String, Vec<Fault>> {
    if args.leaves_unresolved(template) {
        return Err(Vec::new());
    }
    let pieces = pieces(template.trim()).map_err(|fault| vec![fault])?;
    let is_callers = matches!(pieces.as_slice(), [Piece::Placeholder { .. }]);

    let mut rendered = String::with_capacity(template.len());
    let mut faults = Vec::new();
    let mut quote: Option<char> = None;
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                quote = text.chars().fold(quote, after);
                rendered.push_str(text);
            }
            Piece::Placeholder { name, written } => match args.value_for(name, written) {
                Ok(value) => {
                    if !is_callers && let Err(why) = fits(value, quote) {
                        faults.push(Fault::new(
                            "",
                            format!("the value of argument {} {why}", shown(name)),
                        ));
                    }
                    rendered.push_str(value);
                }
                Err(fault) => faults.push(fault),
            },
        }
    }
    if let Some(quote) = quote {
        faults.push(Fault::new(
            "",
            format!("a text that begins with {quote} never ends"),
        ));
    }
    if faults.is_empty() {
        Ok(rendered)
    } else {
        Err(faults)
    }
}

/// The function through which nothing becomes a 0 in `expression`, wherever it is called.
pub fn aggregate_of_nothing(expression: &str) -> Option<&'static str> {
    ["sum", "count"]
        .into_iter()
        .find(|name| calls(expression, name))
}

/// Whether `expression` calls the function `name`.
fn calls(expression: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression.match_indices(name).any(|(start, _)| {
        !expression[..start].ends_with(is_word)
            && expression[start + name.len()..]
                .trim_start()
                .starts_with('(')
    })
}

/// The quote that a text stands in after `c`; MQE has no escapes.
fn after(quote: Option<char>, c: char) -> Option<char> {
    match (quote, c) {
        (None, '\'' | '"') => Some(c),
        (Some(open), c) if open == c => None,
        (quote, _) => quote,
    }
}

fn fits(value: &str, quote: Option<char>) -> Result<(), String> {
    match quote {
        Some(quote) if value.contains(quote) => Err(format!(
            "holds a {quote}, which would end the quotes that it stands in"
        )),
        Some(_) if value.contains(char::is_control) => {
            Err("holds a line break or another control character".to_owned())
        }
        Some(_) => Ok(()),
        None if is_name(value) || is_number(value) => Ok(()),
        None => Err(
            "is neither one name nor one number, which is all that can stand outside of quotes"
                .to_owned(),
        ),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, value: &str, expected: &str) {
        let args: Arguments = [("x".to_owned(), value.to_owned())].into_iter().collect();
        let rendered = match render(template, &args) {
            Ok(text) => text,
            Err(faults) => format!("! {}", faults[0].message),
        };
        assert_eq!(rendered, expected, "for `{template}` with `{value}`");
    }

    #[test]
    fn a_token_stands_anywhere() {
        check("service_{{args.x}} > 5", "apdex", "service_apdex > 5");
        check(
            "service_apdex > {{ args.x }}",
            "-0.5",
            "service_apdex > -0.5",
        );
        check("m{p='{{args.x}}'}", "50,99", "m{p='50,99'}");
        check("m{p='50'} > {{args.x}}", "1", "m{p='50'} > 1");
        check("m{p='\"{{args.x}}'}", "50", "m{p='\"50'}");
    }

    #[test]
    fn the_shape_stays() {
        let token = "! the value of argument `x` is neither one name nor one number, which is all that can stand outside of quotes";
        check("a > {{args.x}}", "1 || b", token);
        check("a > {{args.x}}", "1)", token);
        check("a > {{args.x}}", "", token);
        check("a > {{args.x}}", "1.", token);
        check(
            "m{p='{{args.x}}'}",
            "1'} + b{p='",
            "! the value of argument `x` holds a ', which would end the quotes that it stands in",
        );
        check(
            "m{p='{{args.x}}'}",
            "1\n",
            "! the value of argument `x` holds a line break or another control character",
        );
        check(
            "m{p='1} > {{args.x}}",
            "1",
            "! a text that begins with ' never ends",
        );
    }

    #[test]
    fn aggregates_of_nothing_are_found_anywhere() {
        let check = |expression, expected| {
            assert_eq!(aggregate_of_nothing(expression), expected, "{expression}");
        };
        check("sum(a)", Some("sum"));
        check("1 - (sum (a) / 2)", Some("sum"));
        check("avg(a) + count(b)", Some("count"));
        check("service_sum > 1", None);
        check("my_sum(a)", None);
        check("sum", None);
    }

    #[test]
    fn a_whole_expression_is_its_callers() {
        check(" {{args.x}}\n", "sum(a) / b{p='50'}", "sum(a) / b{p='50'}");
    }
}
