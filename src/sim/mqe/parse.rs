//! Text to [`Expr`]; errors are ANTLR's.

use super::{Aggregate, Expr, Label, MetricRef, Op, Order};
use crate::sim::Generation;

/// The functions of each generation, in the order in which ANTLR lists them.
const FUNCTIONS: [(&str, Generation); 20] = [
    ("avg", Generation::V9_7),
    ("count", Generation::V9_7),
    ("latest", Generation::V9_7),
    ("max", Generation::V9_7),
    ("min", Generation::V9_7),
    ("sum", Generation::V9_7),
    ("abs", Generation::V9_7),
    ("ceil", Generation::V9_7),
    ("floor", Generation::V9_7),
    ("round", Generation::V9_7),
    ("increase", Generation::V9_7),
    ("rate", Generation::V9_7),
    ("top_n", Generation::V9_7),
    ("top_n_of", Generation::V10_4),
    ("view_as_seq", Generation::V9_7),
    ("is_present", Generation::V10_4),
    ("relabels", Generation::V9_7),
    ("aggregate_labels", Generation::V9_7),
    ("sort_values", Generation::V10_4),
    ("sort_label_values", Generation::V10_4),
];

/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

/// The most tokens: a long chain of operators nests as well once it is parsed.
const MAX_TOKENS: usize = 1_000;

/// Parses the expression at the start of `text`. What follows it is ignored, as OAP ignores it: `median(x)` is the metric `median`.
pub(super) fn parse(text: &str, generation: Generation) -> Result<Expr, String> {
    let tokens = tokens(text);
    if tokens.len() > MAX_TOKENS {
        return Err("the expression is too long".to_owned());
    }
    let mut parser = Parser {
        tokens,
        next: 0,
        depth: 0,
        generation,
    };
    parser.expression(0)
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    kind: Kind,
    line: usize,
    column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Name,
    Integer,
    Decimal,
    Quoted,
    Symbol,
    End,
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut i, mut line, mut line_start) = (0, 1, 0);
    while i < chars.len() {
        let start = i;
        let run = |from: usize, holds: &dyn Fn(char) -> bool| {
            chars[from..].iter().take_while(|c| holds(**c)).count()
        };
        let kind = match chars[i] {
            '\n' => {
                i += 1;
                line += 1;
                line_start = i;
                continue;
            }
            c if c.is_whitespace() => {
                i += 1;
                continue;
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                i += run(i, &|c| c.is_ascii_alphanumeric() || c == '_');
                Kind::Name
            }
            c if c.is_ascii_digit() => {
                i += run(i, &|c| c.is_ascii_digit());
                let fraction = match chars.get(i) {
                    Some('.') => run(i + 1, &|c| c.is_ascii_digit()),
                    _ => 0,
                };
                if fraction > 0 {
                    i += 1 + fraction;
                    Kind::Decimal
                } else {
                    Kind::Integer
                }
            }
            quote @ ('\'' | '"') => {
                i += 1 + run(i + 1, &|c| c != quote);
                i = (i + 1).min(chars.len());
                Kind::Quoted
            }
            '<' | '>' | '=' | '!' => {
                i += 1 + usize::from(chars.get(i + 1) == Some(&'='));
                Kind::Symbol
            }
            _ => {
                i += 1;
                Kind::Symbol
            }
        };
        tokens.push(Token {
            text: chars[start..i].iter().collect(),
            kind,
            line,
            column: start - line_start,
        });
    }
    tokens.push(Token {
        text: "<EOF>".to_owned(),
        kind: Kind::End,
        line,
        column: chars.len() - line_start,
    });
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    generation: Generation,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.next += 1;
        }
        token
    }

    fn mismatch(&self, expected: &str) -> String {
        let token = self.peek();
        format!(
            "line {}:{} mismatched input '{}' expecting {expected}",
            token.line, token.column, token.text
        )
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), String> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.mismatch(&format!("'{symbol}'")))
        }
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let token = self.peek();
        let found = token.kind == Kind::Symbol && token.text == symbol;
        self.next += usize::from(found);
        found
    }

    /// Precedence climbing: comparisons bind loosest, then sums, then products.
    fn expression(&mut self, least: u8) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the expression is nested too deeply".to_owned());
        }
        let mut left = self.operand()?;
        while let Some((op, level)) = operator(self.peek()).filter(|(_, level)| *level >= least) {
            self.next += 1;
            let right = self.expression(level + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr, String> {
        let token = self.peek().clone();
        match token.kind {
            Kind::Integer | Kind::Decimal => {
                self.next += 1;
                Ok(Expr::Number(token.text.parse().unwrap_or(f64::INFINITY)))
            }
            Kind::Name if self.is_function(&token.text) => {
                self.next += 1;
                self.function(&token.text)
            }
            Kind::Name => Ok(Expr::Metric(self.metric()?)),
            Kind::Symbol if token.text == "(" => {
                self.next += 1;
                let inner = self.expression(0)?;
                self.symbol(")")?;
                Ok(inner)
            }
            Kind::Symbol | Kind::Quoted | Kind::End => Err(self.mismatch(&self.beginnings())),
        }
    }

    fn functions(&self) -> impl Iterator<Item = &'static str> {
        let generation = self.generation;
        let baseline = (generation == Generation::V10_4).then_some("baseline");
        FUNCTIONS
            .iter()
            .filter(move |(_, since)| *since == Generation::V9_7 || *since == generation)
            .map(|(name, _)| *name)
            .chain(baseline)
    }

    fn is_function(&self, name: &str) -> bool {
        self.functions().any(|known| known == name)
    }

    /// All that an expression can begin with, as ANTLR lists it.
    fn beginnings(&self) -> String {
        let functions: Vec<String> = self.functions().map(|name| format!("'{name}'")).collect();
        format!(
            "{{'(', {}, INTEGER, DECIMAL, NAME_STRING}}",
            functions.join(", ")
        )
    }

    fn function(&mut self, name: &str) -> Result<Expr, String> {
        self.symbol("(")?;
        let call = match name {
            "increase" | "rate" => {
                let metric = self.metric()?;
                self.symbol(",")?;
                let over = self.integer()?;
                if name == "rate" {
                    Expr::Rate(metric, over)
                } else {
                    Expr::Increase(metric, over)
                }
            }
            "top_n" => {
                let metric = self.metric()?;
                self.symbol(",")?;
                let count = self.integer()?;
                self.symbol(",")?;
                Expr::TopN(metric, count as usize, self.order()?)
            }
            "baseline" => {
                let metric = self.metric()?;
                self.symbol(",")?;
                self.name("{'value', 'upper', 'lower'}")?;
                Expr::Baseline(metric)
            }
            "is_present" => Expr::IsPresent(self.list()?),
            "view_as_seq" => Expr::ViewAsSeq(self.list()?),
            "top_n_of" => return Err("top_n_of is not simulated".to_owned()),
            _ => self.function_of_one(name)?,
        };
        self.symbol(")")?;
        Ok(call)
    }

    /// A function whose first argument is any expression.
    fn function_of_one(&mut self, name: &str) -> Result<Expr, String> {
        let of = Box::new(self.expression(0)?);
        if let Some(aggregate) = aggregate(name) {
            return Ok(Expr::Aggregate(aggregate, of));
        }
        match name {
            "abs" => return Ok(Expr::Abs(of)),
            "ceil" => return Ok(Expr::Ceil(of)),
            "floor" => return Ok(Expr::Floor(of)),
            _ => self.symbol(",")?,
        }
        match name {
            "round" => Ok(Expr::Round(of, self.integer()?)),
            "relabels" => {
                let first = self.label()?;
                if self.generation == Generation::V9_7 {
                    return Ok(Expr::Relabels(of, first.clone(), first));
                }
                self.symbol(",")?;
                Ok(Expr::Relabels(of, first, self.label()?))
            }
            "aggregate_labels" => {
                let expected = "{'avg', 'max', 'min', 'sum'}";
                let refused = self.mismatch(expected);
                let function = aggregate(&self.name(expected)?).ok_or(refused)?;
                let kept = if self.eat("(") {
                    let names = self.names()?;
                    self.symbol(")")?;
                    names
                } else {
                    Vec::new()
                };
                Ok(Expr::AggregateLabels(of, function, kept))
            }
            "sort_label_values" => {
                let order = self.order()?;
                self.symbol(",")?;
                Ok(Expr::SortLabelValues(of, order, self.names()?))
            }
            // The recorded server wants one argument more than its documentation gives: nothing satisfied it.
            _ => {
                if self.peek().kind == Kind::Integer {
                    self.integer()?;
                    self.symbol(",")?;
                }
                self.order()?;
                let token = self.peek();
                Err(format!(
                    "line {}:{} missing ',' at '{}'",
                    token.line, token.column, token.text
                ))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Expr>, String> {
        let mut items = vec![self.expression(0)?];
        while self.eat(",") {
            items.push(self.expression(0)?);
        }
        Ok(items)
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        let mut names = vec![self.name("NAME_STRING")?];
        while self.eat(",") {
            names.push(self.name("NAME_STRING")?);
        }
        Ok(names)
    }

    fn metric(&mut self) -> Result<MetricRef, String> {
        let name = self.name("NAME_STRING")?;
        let mut labels = Vec::new();
        if self.eat("{") && !self.eat("}") {
            labels.push(self.label()?);
            while self.eat(",") {
                labels.push(self.label()?);
            }
            self.symbol("}")?;
        }
        Ok(MetricRef { name, labels })
    }

    fn label(&mut self) -> Result<Label, String> {
        // The older grammar knows no label but `_`.
        if self.generation == Generation::V9_7 && self.peek().text != "_" {
            return Err(self.mismatch("{'_', '}'}"));
        }
        let name = self.name("NAME_STRING")?;
        self.symbol("=")?;
        if self.peek().kind != Kind::Quoted {
            return Err(self.mismatch("VALUE_STRING"));
        }
        let quoted = self.take().text;
        let values = quoted
            .trim_matches(['\'', '"'])
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        Ok(Label { name, values })
    }

    fn name(&mut self, expected: &str) -> Result<String, String> {
        if self.peek().kind != Kind::Name {
            return Err(self.mismatch(expected));
        }
        Ok(self.take().text)
    }

    fn integer(&mut self) -> Result<u32, String> {
        let refused = self.mismatch("INTEGER");
        if self.peek().kind != Kind::Integer {
            return Err(refused);
        }
        self.take().text.parse().map_err(|_| refused)
    }

    fn order(&mut self) -> Result<Order, String> {
        let order = match self.peek().text.as_str() {
            "asc" => Order::Ascending,
            "des" => Order::Descending,
            _ => return Err(self.mismatch("{'asc', 'des'}")),
        };
        self.next += 1;
        Ok(order)
    }
}

fn aggregate(name: &str) -> Option<Aggregate> {
    match name {
        "avg" => Some(Aggregate::Avg),
        "count" => Some(Aggregate::Count),
        "latest" => Some(Aggregate::Latest),
        "max" => Some(Aggregate::Max),
        "min" => Some(Aggregate::Min),
        "sum" => Some(Aggregate::Sum),
        _ => None,
    }
}

/// An operator and how tightly it binds.
fn operator(token: &Token) -> Option<(Op, u8)> {
    if token.kind != Kind::Symbol {
        return None;
    }
    match token.text.as_str() {
        "==" => Some((Op::Equal, 0)),
        "!=" => Some((Op::NotEqual, 0)),
        "<" => Some((Op::Less, 0)),
        "<=" => Some((Op::LessOrEqual, 0)),
        ">" => Some((Op::Greater, 0)),
        ">=" => Some((Op::GreaterOrEqual, 0)),
        "+" => Some((Op::Add, 1)),
        "-" => Some((Op::Sub, 1)),
        "*" => Some((Op::Mul, 2)),
        "/" => Some((Op::Div, 2)),
        "%" => Some((Op::Mod, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_bind_tighter_than_sums_than_comparisons() {
        let check = |text: &str, same: &str| {
            assert_eq!(
                parse(text, Generation::V10_4),
                parse(same, Generation::V10_4),
                "{text}"
            );
        };
        check("a + b * 2 > c - 1 - 1", "(a + (b * 2)) > ((c - 1) - 1)");
        check("a{}", "a");
        check("median(a)", "median");
    }

    #[test]
    fn syntax_errors_are_antlrs() {
        let check = |text: &str, generation, message: &str| {
            let fault = parse(text, generation).unwrap_err();
            assert!(fault.starts_with(message), "{fault}");
        };
        check(
            "service_apdex >",
            Generation::V9_7,
            "line 1:15 mismatched input '<EOF>' expecting {'(', 'avg', 'count',",
        );
        check(
            "a{p='99'}",
            Generation::V9_7,
            "line 1:2 mismatched input 'p' expecting {'_', '}'}",
        );
        check(
            "sort_values(a,2,des)",
            Generation::V10_4,
            "line 1:19 missing ',' at ')'",
        );
        check(
            "avg(a",
            Generation::V10_4,
            "line 1:5 mismatched input '<EOF>' expecting ')'",
        );
        let deep = "(".repeat(900);
        check(
            &deep,
            Generation::V10_4,
            "the expression is nested too deeply",
        );
        let long = "a+".repeat(10_000);
        check(&long, Generation::V10_4, "the expression is too long");
    }
}
