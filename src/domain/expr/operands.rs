//! Operands: literals, names, lists, maps, and what follows them.

use super::ast::{Expr, Kind, Span};
use super::build::{node, not, number, too_deep};
use super::function::{Each, Function};
use super::lexer::{Token, TokenKind};
use super::parser::{Parser, Result};
use super::slips;
use super::time::Method;
use super::value::Value;
use crate::domain::condition::ConditionError;

/// How tightly `not`, and a sign, bind.
const NOT_PRECEDENCE: u16 = 50;
const SIGN_PRECEDENCE: u16 = 90;

impl<'s> Parser<'s> {
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let start = self.span();
        match *self.kind() {
            TokenKind::Operator("not" | "!") => {
                self.advance();
                let operand = self.expression(NOT_PRECEDENCE)?;
                not(start.to(operand.span), operand)
            }
            TokenKind::Operator("-") => {
                self.advance();
                let operand = self.expression(SIGN_PRECEDENCE)?;
                let kind = match operand.kind {
                    Kind::Literal(Value::Int(number)) => {
                        Kind::Literal(Value::Int(number.wrapping_neg()))
                    }
                    Kind::Literal(Value::Float(number)) => Kind::Literal(Value::Float(-number)),
                    _ => {
                        let span = start.to(operand.span);
                        return node(span, Kind::Negate(Box::new(operand)));
                    }
                };
                node(start.to(operand.span), kind)
            }
            TokenKind::Operator("+") => {
                self.advance();
                let operand = self.expression(SIGN_PRECEDENCE)?;
                node(start.to(operand.span), Kind::Plus(Box::new(operand)))
            }
            TokenKind::Operator("::") => {
                self.advance();
                let span = self.span();
                let TokenKind::Name(name) = *self.kind() else {
                    return Err(self.unexpected());
                };
                self.advance();
                let call = self.call(name, span, None)?;
                self.postfixes(call)
            }
            TokenKind::Operator("#") if !self.predicates.is_empty() => {
                self.advance();
                let pointer = self.pointer(start)?;
                self.postfixes(pointer)
            }
            TokenKind::Operator(".") if !self.predicates.is_empty() => {
                let here = Span {
                    start: start.start,
                    end: start.start,
                };
                let element = node(here, Kind::Element)?;
                self.postfixes(element)
            }
            TokenKind::Bracket("(") => {
                self.advance();
                let mut inner = self.sequence()?;
                self.expect_bracket(")")?;
                inner.span = start.to(self.previous());
                self.postfixes(inner)
            }
            TokenKind::Bracket("[") => {
                let list = self.list()?;
                self.postfixes(list)
            }
            TokenKind::Bracket("{") => {
                let map = self.map()?;
                self.postfixes(map)
            }
            TokenKind::Text(ref text) => {
                let value = Value::text(text.as_ref());
                self.advance();
                let literal = node(start, Kind::Literal(value))?;
                self.postfixes(literal)
            }
            TokenKind::Number(digits) => {
                self.advance();
                let value =
                    number(digits).map_err(|message| ConditionError::new(start.start, message))?;
                node(start, Kind::Literal(value))
            }
            TokenKind::Name(name) => {
                self.advance();
                self.named(name, start)
            }
            TokenKind::Operator(_) | TokenKind::Bracket(_) | TokenKind::End => {
                Err(self.unexpected())
            }
        }
    }

    /// `#`, `#index` or `#acc`, the `#` taken.
    fn pointer(&mut self, start: Span) -> Result<Expr> {
        let TokenKind::Name(name) = *self.kind() else {
            return node(start, Kind::Element);
        };
        let innermost = self.predicates.last();
        let kind = match name {
            "index" if innermost.is_some_and(|each| each.has_index()) => Kind::Index,
            "acc" if innermost == Some(&Each::Reduce) => Kind::Accumulator,
            _ => {
                let message = format!("unknown pointer #{name}");
                return Err(ConditionError::new(start.start, message).hint(slips::POINTER));
            }
        };
        let span = start.to(self.span());
        self.advance();
        node(span, kind)
    }

    /// A name, or the call of a function; the name is taken.
    fn named(&mut self, name: &'s str, span: Span) -> Result<Expr> {
        let literal = match name {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "nil" => Some(Value::Nil),
            _ => None,
        };
        if let Some(value) = literal {
            return node(span, Kind::Literal(value));
        }
        let expression = if self.is_bracket("(") {
            self.call(name, span, None)?
        } else {
            self.name(name, span)?
        };
        self.postfixes(expression)
    }

    fn name(&mut self, name: &'s str, span: Span) -> Result<Expr> {
        if let Some(slot) = self.names.iter().position(|bound| *bound == name) {
            return node(span, Kind::Slot(slot));
        }
        match name {
            "result" => node(span, Kind::Result),
            "values" => node(span, Kind::Values(None)),
            "series" => self.series(span),
            "$env" => node(span, Kind::Environment),
            _ if Function::named(name).is_some() || Each::named(name).is_some() => {
                let message = format!("{name} is a function");
                Err(ConditionError::new(span.start, message).hint(format!("call it: `{name}(…)`")))
            }
            _ => Err(slips::unknown_name(
                name,
                span,
                &self.names,
                !self.predicates.is_empty(),
            )),
        }
    }

    /// `series["name"]`, the word taken.
    fn series(&mut self, start: Span) -> Result<Expr> {
        let wants_name = || {
            ConditionError::new(start.start, "series stands before a name in brackets")
                .hint("`series[\"canary\"]`; `values` is the only series")
        };
        let name = match self.tokens.get(self.next..self.next + 3) {
            Some(
                [
                    Token {
                        kind: TokenKind::Bracket("["),
                        ..
                    },
                    Token {
                        kind: TokenKind::Text(name),
                        ..
                    },
                    Token {
                        kind: TokenKind::Bracket("]"),
                        ..
                    },
                ],
            ) => name.clone(),
            _ => return Err(wants_name()),
        };
        self.next += 3;
        let span = start.to(self.previous());
        node(span, Kind::Values(Some(name.into())))
    }

    /// What follows an operand: `.name`, `?.name`, `[index]`, `[from:to]`, `.method(…)`.
    pub(super) fn postfixes(&mut self, first: Expr) -> Result<Expr> {
        let mut object = first;
        loop {
            object = match *self.kind() {
                TokenKind::Operator(dot @ ("." | "?.")) => {
                    self.advance();
                    let optional = dot == "?.";
                    if optional && self.is_bracket("[") {
                        self.subscript(object, true)?
                    } else {
                        self.member(object, optional)?
                    }
                }
                TokenKind::Bracket("[") => self.subscript(object, false)?,
                TokenKind::Number(digits) if digits.starts_with('.') => {
                    return Err(self.unexpected().hint(slips::ELEMENT));
                }
                _ => return Ok(object),
            };
        }
    }

    /// A member or method, its dot taken.
    fn member(&mut self, object: Expr, optional: bool) -> Result<Expr> {
        let name_span = self.span();
        let name = match *self.kind() {
            TokenKind::Name(name) => name,
            // Words that are operators elsewhere are names here.
            TokenKind::Operator(word) if word.starts_with(char::is_alphabetic) => word,
            _ => return Err(ConditionError::new(name_span.start, "expected name")),
        };
        self.advance();
        let (object, in_chain) = match object.kind {
            Kind::Chain(inner) => (inner, true),
            _ => (Box::new(object), false),
        };
        let start = object.span;
        let kind = if self.is_bracket("(") {
            Kind::Method {
                object,
                method: Method::named(name)
                    .ok_or_else(|| slips::unknown_method(name, name_span))?,
                arguments: self.arguments(None)?,
            }
        } else {
            Kind::Member {
                object,
                name: name.into(),
                optional,
            }
        };
        let member = node(start.to(self.previous()), kind)?;
        if in_chain || optional {
            node(member.span, Kind::Chain(Box::new(member)))
        } else {
            Ok(member)
        }
    }

    /// `[index]` or `[from:to]`.
    fn subscript(&mut self, object: Expr, optional: bool) -> Result<Expr> {
        self.advance();
        let from = if self.is_operator(":") {
            None
        } else {
            Some(self.expression(0)?)
        };
        if self.take_operator(":") {
            let to = if self.is_bracket("]") {
                None
            } else {
                Some(self.expression(0)?)
            };
            self.expect_bracket("]")?;
            let span = object.span.to(self.previous());
            return node(
                span,
                Kind::Slice {
                    object: Box::new(object),
                    from: from.map(Box::new),
                    to: to.map(Box::new),
                },
            );
        }
        let Some(key) = from else {
            return Err(self.unexpected());
        };
        self.expect_bracket("]")?;
        let span = object.span.to(self.previous());
        let object = Box::new(object);
        let kind = match key.kind {
            Kind::Literal(Value::Text(name)) => Kind::Member {
                object,
                name: name.as_str().into(),
                optional,
            },
            _ => Kind::Item {
                object,
                key: Box::new(key),
                optional,
            },
        };
        let item = node(span, kind)?;
        if optional {
            node(item.span, Kind::Chain(Box::new(item)))
        } else {
            Ok(item)
        }
    }

    /// `[a, b, c]`
    fn list(&mut self) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let items = self.separated("]", Self::whole)?;
        let span = start.to(self.previous());
        let literals: Option<Vec<_>> = items
            .iter()
            .map(|item| match &item.kind {
                Kind::Literal(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match literals.map(Value::list) {
            Some(Ok(list)) => node(span, Kind::Literal(list)),
            Some(Err(_)) => Err(too_deep(span)),
            None => node(span, Kind::List(items)),
        }
    }

    /// `{a: 1, "b": 2, (c): 3}`
    fn map(&mut self) -> Result<Expr> {
        let start = self.span();
        self.advance();
        let pairs = self.separated("}", Self::pair)?;
        let span = start.to(self.previous());
        node(span, Kind::Map(pairs))
    }

    fn pair(&mut self) -> Result<(Expr, Expr)> {
        let span = self.span();
        let key = match self.kind() {
            TokenKind::Name(name) | TokenKind::Number(name) => Some(Value::text(*name)),
            TokenKind::Text(text) => Some(Value::text(text.as_ref())),
            TokenKind::Bracket("(") => None,
            token => {
                let message = format!(
                    "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses (unexpected token {token})"
                );
                return Err(ConditionError::new(span.start, message));
            }
        };
        let key = match key {
            Some(key) => {
                self.advance();
                node(span, Kind::Literal(key))?
            }
            None => self.expression(0)?,
        };
        self.expect_operator(":")?;
        Ok((key, self.expression(0)?))
    }
}
