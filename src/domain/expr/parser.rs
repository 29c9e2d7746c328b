//! Tokens to a tree: operators and their precedence, as in Go's expr.
//!
//! Names are resolved here, so that a condition which parses has no unknown name or function in it.

use super::ast::{Comparison, Connective, Expr, Kind, Operator, Span};
use super::build::{binary, logic, node, not, too_deep};
use super::function::{Each, Function};
use super::lexer::{Token, TokenKind, tokens};
use super::slips;
use crate::domain::condition::ConditionError;

/// A source of more bytes is refused before it is looked at.
const MAX_SOURCE: usize = 4096;

/// So many expressions may be open at once; each takes a few frames of the stack.
pub(super) const MAX_NESTING: usize = 64;

/// A tree, and how many places its `let`s need.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) root: Expr,
    pub(super) slots: usize,
}

pub(super) type Result<T> = std::result::Result<T, ConditionError>;

/// Parses `source`.
pub(super) fn parse(source: &str) -> Result<Parsed> {
    if source.len() > MAX_SOURCE {
        let message = format!(
            "the condition has {} bytes, more than {MAX_SOURCE}",
            source.len()
        );
        return Err(ConditionError::new(0, message));
    }
    let mut parser = Parser {
        tokens: tokens(source)?,
        next: 0,
        nesting: 0,
        predicates: Vec::new(),
        names: Vec::new(),
        slots: 0,
    };
    let root = parser.sequence()?;
    if parser.kind() != &TokenKind::End {
        return Err(parser.unexpected());
    }
    Ok(Parsed {
        root,
        slots: parser.slots,
    })
}

pub(super) struct Parser<'s> {
    pub(super) tokens: Vec<Token<'s>>,
    pub(super) next: usize,
    nesting: usize,
    /// The functions whose predicates are open, outermost first.
    pub(super) predicates: Vec<Each>,
    /// The names bound by the open `let`s; a name's place is its slot.
    pub(super) names: Vec<&'s str>,
    slots: usize,
}

/// What stands between two operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Infix {
    Pipe,
    Or,
    And,
    Coalesce,
    Operator(Operator),
}

/// The infix that `symbol` is, and how tightly it binds.
fn infix(symbol: &str) -> Option<(u16, Infix)> {
    let (precedence, operator) = match symbol {
        "|" => return Some((0, Infix::Pipe)),
        "or" | "||" => return Some((10, Infix::Or)),
        "and" | "&&" => return Some((15, Infix::And)),
        "??" => return Some((500, Infix::Coalesce)),
        "==" => (20, Operator::Equal),
        "!=" => (20, Operator::NotEqual),
        "<" => (20, Operator::Compare(Comparison::Less)),
        "<=" => (20, Operator::Compare(Comparison::LessOrEqual)),
        ">" => (20, Operator::Compare(Comparison::Greater)),
        ">=" => (20, Operator::Compare(Comparison::GreaterOrEqual)),
        "in" => (20, Operator::In),
        "matches" => (20, Operator::Matches),
        "contains" => (20, Operator::Contains),
        "startsWith" => (20, Operator::StartsWith),
        "endsWith" => (20, Operator::EndsWith),
        ".." => (25, Operator::Range),
        "+" => (30, Operator::Add),
        "-" => (30, Operator::Subtract),
        "*" => (60, Operator::Multiply),
        "/" => (60, Operator::Divide),
        "%" => (60, Operator::Modulo),
        "**" | "^" => (100, Operator::Power),
        _ => return None,
    };
    Some((precedence, Infix::Operator(operator)))
}

const NEGATABLE: [&str; 5] = ["in", "matches", "contains", "startsWith", "endsWith"];

impl<'s> Parser<'s> {
    /// `a; b; c`
    pub(super) fn sequence(&mut self) -> Result<Expr> {
        let first = self.expression(0)?;
        if !self.is_operator(";") {
            return Ok(first);
        }
        let start = first.span;
        let mut parts = vec![first];
        while self.take_operator(";") {
            if self.kind() == &TokenKind::End {
                break;
            }
            parts.push(self.expression(0)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            Some(last) => {
                let span = start.to(last.span);
                parts.push(last);
                node(span, Kind::Sequence(parts))
            }
            None => Err(self.unexpected()),
        }
    }

    /// An expression whose operators bind at least as tightly as `minimum`; 0 takes everything.
    pub(super) fn expression(&mut self, minimum: u16) -> Result<Expr> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(too_deep(self.span()));
        }
        let expression = self.expression_within(minimum);
        self.nesting -= 1;
        expression
    }

    fn expression_within(&mut self, minimum: u16) -> Result<Expr> {
        if minimum == 0 && self.is_operator("let") {
            return self.binding();
        }
        if minimum == 0 && self.is_operator("if") {
            return self.if_else();
        }
        let first = self.primary()?;
        let expression = self.infixes(first, minimum)?;
        if minimum == 0 {
            self.ternaries(expression)
        } else {
            Ok(expression)
        }
    }

    fn infixes(&mut self, first: Expr, minimum: u16) -> Result<Expr> {
        let mut left = first;
        let mut after_coalesce = false;
        while let TokenKind::Operator(word) = *self.kind() {
            let negated = word == "not";
            let symbol = if negated {
                self.negated_operator()?
            } else {
                word
            };
            let Some((precedence, infix)) = infix(symbol).filter(|found| found.0 >= minimum) else {
                break;
            };
            let operator = self.span();
            self.advance();
            if negated {
                self.advance();
            }
            if after_coalesce && !matches!(infix, Infix::Coalesce | Infix::Pipe) {
                let message = format!(
                    "Operator ({symbol}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses."
                );
                return Err(ConditionError::new(operator.start, message));
            }
            left = self.infix(left, infix, precedence)?;
            if negated {
                left = not(left.span, left)?;
            }
            after_coalesce = infix == Infix::Coalesce;
        }
        Ok(left)
    }

    /// The operator after an infix `not`, as in `x not in list`.
    fn negated_operator(&mut self) -> Result<&'s str> {
        match self.tokens.get(self.next + 1).map(|token| &token.kind) {
            Some(TokenKind::Operator(word)) if NEGATABLE.contains(word) => Ok(word),
            _ => {
                self.advance();
                Err(self.unexpected())
            }
        }
    }

    /// The rest of an infix expression, its operator taken.
    fn infix(&mut self, left: Expr, infix: Infix, precedence: u16) -> Result<Expr> {
        match infix {
            Infix::Pipe => self.piped(left),
            Infix::Or => {
                let right = self.expression(precedence + 1)?;
                logic(Connective::Or, left, right)
            }
            Infix::And => {
                let right = self.expression(precedence + 1)?;
                logic(Connective::And, left, right)
            }
            Infix::Coalesce => {
                let right = self.expression(precedence + 1)?;
                let span = left.span.to(right.span);
                node(span, Kind::Coalesce(Box::new([left, right])))
            }
            Infix::Operator(Operator::Compare(comparison)) => {
                self.comparisons(left, comparison, precedence)
            }
            Infix::Operator(Operator::Power) => {
                let right = self.expression(precedence)?;
                binary(Operator::Power, left, right)
            }
            Infix::Operator(operator) => {
                let right = self.expression(precedence + 1)?;
                binary(operator, left, right)
            }
        }
    }

    /// `value | function(…)`: the value is the first argument.
    fn piped(&mut self, value: Expr) -> Result<Expr> {
        let token = self.current().clone();
        let TokenKind::Name(name) = token.kind else {
            return Err(self.unexpected().hint(slips::PIPE));
        };
        self.advance();
        if !self.is_bracket("(") {
            return Err(self.unexpected().hint(slips::PIPE));
        }
        self.call(name, token.span, Some(value))
    }

    /// `a < b`, and `a < b < c`, which means `a < b && b < c`.
    fn comparisons(
        &mut self,
        first: Expr,
        comparison: Comparison,
        precedence: u16,
    ) -> Result<Expr> {
        let second = self.expression(precedence + 1)?;
        let mut rest = vec![(comparison, second)];
        while let TokenKind::Operator(word) = *self.kind() {
            let Some((_, Infix::Operator(Operator::Compare(comparison)))) = infix(word) else {
                break;
            };
            self.advance();
            rest.push((comparison, self.expression(precedence + 1)?));
        }
        match rest.pop() {
            Some((comparison, second)) if rest.is_empty() => {
                binary(Operator::Compare(comparison), first, second)
            }
            Some(last) => {
                let span = first.span.to(last.1.span);
                rest.push(last);
                let first = Box::new(first);
                node(span, Kind::Ordered { first, rest })
            }
            None => Ok(first),
        }
    }

    /// `a ? b : c` and `a ?: c`
    fn ternaries(&mut self, condition: Expr) -> Result<Expr> {
        let mut condition = condition;
        while self.take_operator("?") {
            let start = condition.span;
            if self.take_operator(":") {
                let otherwise = self.expression(0)?;
                let span = start.to(otherwise.span);
                condition = node(span, Kind::Elvis(Box::new([condition, otherwise])))?;
                continue;
            }
            let then = self.expression(0)?;
            self.expect_operator(":")?;
            let otherwise = self.expression(0)?;
            let span = start.to(otherwise.span);
            let parts = Box::new([condition, then, otherwise]);
            condition = node(span, Kind::Conditional(parts))?;
        }
        Ok(condition)
    }

    /// `if a { b } else { c }`
    fn if_else(&mut self) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let condition = self.expression(0)?;
        let then = self.block()?;
        self.expect_operator("else")?;
        let otherwise = if self.is_operator("if") {
            self.expression(0)?
        } else {
            self.block()?
        };
        let span = start.to(self.previous());
        node(
            span,
            Kind::Conditional(Box::new([condition, then, otherwise])),
        )
    }

    fn block(&mut self) -> Result<Expr> {
        self.expect_bracket("{")?;
        let body = self.sequence()?;
        self.expect_bracket("}")?;
        Ok(body)
    }

    /// `let name = value; body`
    fn binding(&mut self) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let TokenKind::Name(name) = *self.kind() else {
            return Err(self.unexpected());
        };
        if let Some(taken) = self.taken(name) {
            let message = format!("cannot redeclare {taken}{name}");
            return Err(ConditionError::new(self.span().start, message));
        }
        self.advance();
        self.expect_operator("=")?;
        let value = self.expression(0)?;
        self.expect_operator(";")?;
        let slot = self.names.len();
        self.names.push(name);
        self.slots = self.slots.max(self.names.len());
        let body = self.sequence()?;
        self.names.pop();
        let span = start.to(body.span);
        node(
            span,
            Kind::Let {
                slot,
                value: Box::new(value),
                body: Box::new(body),
            },
        )
    }

    /// What `name` already is, if `let` cannot have it.
    fn taken(&self, name: &str) -> Option<&'static str> {
        if name == "result" {
            Some("")
        } else if Each::named(name).is_some() || Function::named(name).is_some() {
            Some("builtin ")
        } else if self.names.contains(&name) {
            Some("variable ")
        } else {
            None
        }
    }

    /// The arguments of a function, brackets included, after the one that was piped in.
    pub(super) fn arguments(&mut self, piped: Option<Expr>) -> Result<Vec<Expr>> {
        self.expect_bracket("(")?;
        let mut arguments: Vec<Expr> = piped.into_iter().collect();
        arguments.append(&mut self.separated(")", Self::whole)?);
        Ok(arguments)
    }

    pub(super) fn whole(&mut self) -> Result<Expr> {
        self.expression(0)
    }

    /// Items with commas between them up to `close`, which is taken; a comma may follow the last.
    pub(super) fn separated<T>(
        &mut self,
        close: &str,
        item: fn(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.is_bracket(close) {
            if !items.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket(close) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        self.advance();
        Ok(items)
    }

    fn current(&self) -> &Token<'s> {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    pub(super) fn kind(&self) -> &TokenKind<'s> {
        &self.current().kind
    }

    pub(super) fn span(&self) -> Span {
        self.current().span
    }

    /// Where the token just taken stands.
    pub(super) fn previous(&self) -> Span {
        self.tokens[self.next.saturating_sub(1)].span
    }

    pub(super) fn advance(&mut self) {
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
    }

    pub(super) fn is_operator(&self, symbol: &str) -> bool {
        matches!(self.kind(), TokenKind::Operator(found) if *found == symbol)
    }

    pub(super) fn is_bracket(&self, bracket: &str) -> bool {
        matches!(self.kind(), TokenKind::Bracket(found) if *found == bracket)
    }

    pub(super) fn take_operator(&mut self, symbol: &str) -> bool {
        let found = self.is_operator(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect_operator(&mut self, symbol: &str) -> Result<()> {
        if self.take_operator(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    pub(super) fn expect_bracket(&mut self, bracket: &str) -> Result<()> {
        if !self.is_bracket(bracket) {
            return Err(self.unexpected());
        }
        self.advance();
        Ok(())
    }

    /// The current token is not what may stand here.
    pub(super) fn unexpected(&self) -> ConditionError {
        let message = format!("unexpected token {}", self.kind());
        let error = ConditionError::new(self.span().start, message);
        match slips::hint(&self.tokens, self.next) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
