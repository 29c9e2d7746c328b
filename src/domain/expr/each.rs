//! The functions that take a predicate.

use super::ast::{EachCall, Expr, Operator};
use super::eval::{Element, Evaluated, Evaluator, Stop, count};
use super::function::Each;
use super::lists::is_descending;
use super::missing;
use super::value::{Keys, List, TooDeep, Value, identical};

impl<'a> Evaluator<'a> {
    pub(super) fn each(&mut self, call: &'a EachCall) -> Evaluated<Value<'a>> {
        let list = self.list_of(call.each, &call.list)?;
        let extra = match &call.extra {
            // The order or first accumulator belongs to the world outside.
            Some(extra) => Some(self.eval(extra)?),
            None => None,
        };
        let outer = std::mem::take(&mut self.frame);
        let value = self.each_of(call, &list, extra);
        self.frame = outer;
        value
    }

    /// The list that `each` is asked about.
    pub(super) fn list_of(&mut self, each: Each, expression: &'a Expr) -> Evaluated<List<'a>> {
        match self.eval(expression)? {
            Value::List(list) => Ok(list),
            Value::Text(text) => {
                // Go sees the bytes of a text that it didn't know to be one.
                let bytes = text.as_str().bytes().map(|byte| Value::Int(byte.into()));
                match self.made_list(expression.span, bytes.collect())? {
                    Value::List(list) => Ok(list),
                    _ => Ok(List::Json(&[])),
                }
            }
            Value::Map(map) if map.len() == 0 => Ok(List::Json(&[])),
            other => Err(self.no_list(each, expression, &other)),
        }
    }

    #[cold]
    fn no_list(&mut self, each: Each, expression: &'a Expr, value: &Value<'a>) -> Stop {
        let message = format!("{} takes a list, not {}", each.name(), value.type_name());
        let hint = match value {
            Value::Nil => missing::hint(self, expression),
            Value::Map(_) => {
                let source = self.text_of(expression);
                Some(format!(
                    "{source} is a map: `values({source})` are what it has"
                ))
            }
            _ => None,
        };
        Stop::at(expression.span, message).hint(hint)
    }

    fn each_of(
        &mut self,
        call: &'a EachCall,
        list: &List<'a>,
        extra: Option<Value<'a>>,
    ) -> Evaluated<Value<'a>> {
        let span = call.list.span;
        match call.each {
            Each::All => Ok(Value::Bool(self.first(call, list, false)?.is_none())),
            Each::Any => Ok(Value::Bool(self.first(call, list, true)?.is_some())),
            Each::None => Ok(Value::Bool(self.first(call, list, true)?.is_none())),
            Each::One => Ok(Value::Bool(self.hits(call, list, None)? == 1)),
            Each::Count => Ok(count(self.hits(call, list, call.enough)?)),
            Each::Find => Ok(self
                .first(call, list, true)?
                .and_then(|index| list.get(index))
                .unwrap_or_default()),
            Each::FindIndex => Ok(self.first(call, list, true)?.map_or(Value::Nil, count)),
            Each::FindLast => Ok(self
                .last(call, list)?
                .and_then(|index| list.get(index))
                .unwrap_or_default()),
            Each::FindLastIndex => Ok(self.last(call, list)?.map_or(Value::Nil, count)),
            Each::Filter => self.filter(call, list),
            Each::Map => {
                let mapped = self.mapped(call, list)?;
                self.made_list(span, mapped)
            }
            Each::Sum => self.sum(call, list),
            Each::GroupBy => self.group_by(call, list),
            Each::SortBy => self.sort_by(call, list, extra.as_ref()),
            Each::Reduce => self.reduce(call, list, extra),
        }
    }

    /// Makes the element at `index` the one that the predicate sees; `false` behind the last.
    fn look_at(&mut self, list: &List<'a>, index: usize) -> bool {
        match Element::of(list, index) {
            Some(element) => {
                self.frame.element = element;
                self.frame.index = index;
                true
            }
            None => false,
        }
    }

    /// What the predicate says of the element in view; without one, the element says it.
    fn asked(&mut self, call: &'a EachCall) -> Evaluated<bool> {
        if let Some(body) = &call.body {
            return self.truth(body);
        }
        self.step(call.list.span)?;
        match self.frame.element.value() {
            Value::Bool(element) => Ok(element),
            other => {
                let message = format!(
                    "{} without a predicate takes a list of bool, not of {}",
                    call.each.name(),
                    other.type_name()
                );
                Err(Stop::at(call.list.span, message))
            }
        }
    }

    /// The value of the predicate for the element in view.
    fn body(&mut self, call: &'a EachCall) -> Evaluated<Value<'a>> {
        if let Some(body) = &call.body {
            return self.eval(body);
        }
        self.step(call.list.span)?;
        Ok(self.frame.element.value())
    }

    /// The first element of which the predicate is `wanted`.
    fn first(
        &mut self,
        call: &'a EachCall,
        list: &List<'a>,
        wanted: bool,
    ) -> Evaluated<Option<usize>> {
        let mut index = 0;
        while self.look_at(list, index) {
            if self.asked(call)? == wanted {
                return Ok(Some(index));
            }
            index += 1;
        }
        Ok(None)
    }

    fn last(&mut self, call: &'a EachCall, list: &List<'a>) -> Evaluated<Option<usize>> {
        for index in (0..list.len()).rev() {
            self.look_at(list, index);
            if self.asked(call)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// How many elements the predicate is true of; no more than `enough`.
    fn hits(
        &mut self,
        call: &'a EachCall,
        list: &List<'a>,
        enough: Option<usize>,
    ) -> Evaluated<usize> {
        let mut hits = 0;
        let mut index = 0;
        while self.look_at(list, index) {
            if self.asked(call)? {
                hits += 1;
                if Some(hits) == enough {
                    break;
                }
            }
            index += 1;
        }
        Ok(hits)
    }

    fn filter(&mut self, call: &'a EachCall, list: &List<'a>) -> Evaluated<Value<'a>> {
        let mut kept = Vec::new();
        let mut index = 0;
        while self.look_at(list, index) {
            if self.asked(call)? {
                kept.extend(list.get(index));
            }
            index += 1;
        }
        self.made_list(call.list.span, kept)
    }

    /// What the predicate makes of each element.
    fn mapped(&mut self, call: &'a EachCall, list: &List<'a>) -> Evaluated<Vec<Value<'a>>> {
        let mut mapped = Vec::new();
        let mut index = 0;
        while self.look_at(list, index) {
            mapped.push(self.body(call)?);
            index += 1;
        }
        Ok(mapped)
    }

    fn sum(&mut self, call: &'a EachCall, list: &List<'a>) -> Evaluated<Value<'a>> {
        let mut total = Value::Int(0);
        let mut index = 0;
        while self.look_at(list, index) {
            let value = self.body(call)?;
            total = match (&value, &total) {
                (Value::Int(value), Value::Int(total)) => Value::Int(value.wrapping_add(*total)),
                _ => match value.number().zip(total.number()) {
                    Some((value, total)) => Value::Float(value + total),
                    None => return Err(self.no_sum(call, &value, &total)),
                },
            };
            index += 1;
        }
        Ok(total)
    }

    #[cold]
    fn no_sum(&mut self, call: &'a EachCall, value: &Value<'a>, total: &Value<'a>) -> Stop {
        let message = format!(
            "invalid operation: {} {} {}",
            value.type_name(),
            Operator::Add.symbol(),
            total.type_name()
        );
        let body = call.body.as_ref();
        let span = body.map_or(call.list.span, |body| body.span);
        let hint = body
            .filter(|_| value.is_nil())
            .and_then(|body| missing::hint(self, body));
        Stop::at(span, message).hint(hint)
    }

    fn group_by(&mut self, call: &'a EachCall, list: &List<'a>) -> Evaluated<Value<'a>> {
        let span = call.list.span;
        let keys = self.mapped(call, list)?;
        let mut groups: Vec<(Value<'a>, Vec<Value<'a>>)> = Vec::new();
        for (key, item) in keys.into_iter().zip(list.iter()) {
            if matches!(key, Value::List(_) | Value::Map(_)) {
                let message = format!(
                    "cannot use {} as a key for groupBy: type is not comparable",
                    key.type_name()
                );
                return Err(Stop::at(span, message));
            }
            self.search(span, groups.len(), &key)?;
            match groups.iter_mut().find(|(known, _)| identical(known, &key)) {
                Some((_, group)) => group.push(item),
                None => groups.push((key, vec![item])),
            }
        }
        let entries: Evaluated<Vec<_>> = groups
            .into_iter()
            .map(|(key, group)| Ok((key, self.made_list(span, group)?)))
            .collect();
        Value::map(entries?, Keys::Groups).map_err(|TooDeep| super::eval::too_deep(span))
    }

    fn sort_by(
        &mut self,
        call: &'a EachCall,
        list: &List<'a>,
        order: Option<&Value<'a>>,
    ) -> Evaluated<Value<'a>> {
        let span = call.list.span;
        let descending = is_descending(span, order)?;
        let keys = self.mapped(call, list)?;
        let items = self.sorted(
            span,
            keys.into_iter().zip(list.iter()).collect(),
            descending,
        )?;
        self.made_list(span, items)
    }

    fn reduce(
        &mut self,
        call: &'a EachCall,
        list: &List<'a>,
        first: Option<Value<'a>>,
    ) -> Evaluated<Value<'a>> {
        let span = call.list.span;
        let mut index = usize::from(first.is_none());
        self.frame.accumulator = first
            .or_else(|| list.get(0))
            .ok_or_else(|| Stop::at(span, "reduce of empty array with no initial value"))?;
        while self.look_at(list, index) {
            let next = self.body(call)?;
            self.frame.accumulator = next;
            index += 1;
        }
        Ok(std::mem::take(&mut self.frame.accumulator))
    }
}
