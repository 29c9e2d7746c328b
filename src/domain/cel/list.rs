//! Lists, lent from JSON or shared however often they are copied.

use std::sync::{Arc, OnceLock};

use cel_interpreter::common::traits::{Adder, Container, Indexer, Iterable, Sizer, Zeroer};
use cel_interpreter::common::types::{CelDouble, CelInt, CelList, CelUInt, Kind, LIST_TYPE, Type};
use cel_interpreter::common::value::{CowVal, Val};
use cel_interpreter::{ExecutionError, Value};
use serde_json::Value as Json;

use super::meter::Meter;
use super::value::{Boxed, Evaluated, no_overload, of_json, size_of};
use crate::domain::expr::to_int;

/// So many elements of a JSON list are made values of in the time of a step.
const ITEMS_A_STEP: usize = 4;

/// A list: lent from JSON, and made values of once somebody goes through it, or made by an expression.
#[derive(Clone, Debug)]
pub(super) struct List<'v> {
    lent: &'v [Json],
    made: OnceLock<Arc<CelList<'v>>>,
    meter: Arc<Meter>,
}

impl<'v> List<'v> {
    pub(super) fn lent(items: &'v [Json], meter: &Arc<Meter>) -> Self {
        Self {
            lent: items,
            made: OnceLock::new(),
            meter: meter.clone(),
        }
    }

    pub(super) fn made(items: Vec<Boxed<'v>>, meter: &Arc<Meter>) -> Self {
        Self {
            lent: &[],
            made: OnceLock::from(Arc::new(CelList::from(items))),
            meter: meter.clone(),
        }
    }

    /// Its elements as values; none where that is more than the evaluation may take, which the meter remembers.
    fn items(&self) -> &CelList<'v> {
        self.made.get_or_init(|| {
            let paid = self.meter.steps(self.lent.len() / ITEMS_A_STEP);
            let items = self.lent.iter().map(|item| of_json(item, &self.meter));
            let items: Evaluated<Vec<Boxed<'v>>> = paid
                .map_err(ExecutionError::from)
                .and_then(|()| items.collect());
            Arc::new(CelList::from(items.unwrap_or_default()))
        })
    }

    fn len(&self) -> usize {
        match self.made.get() {
            Some(made) => made.inner().len(),
            None => self.lent.len(),
        }
    }
}

impl Val for List<'_> {
    fn get_type(&self) -> &Type {
        &LIST_TYPE
    }

    fn cel_type() -> &'static Type {
        &LIST_TYPE
    }

    fn as_adder<'b, 'w>(&'b self) -> Option<&'b (dyn Adder + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        self.items().as_iterable()
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        if other.get_type().kind() != Kind::List || size_of(other) != Some(self.len()) {
            return false;
        }
        let Some(others) = other.as_iterable() else {
            return false;
        };
        let mut others = others.iter();
        self.items().inner().iter().all(|item| {
            self.meter.steps(1).is_ok() && others.next().is_some_and(|other| item.equals(other))
        })
    }

    fn clone_as_boxed<'w>(&self) -> Boxed<'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl Adder for List<'_> {
    fn add<'b, 'w>(&'b self, other: &(dyn Val + 'w)) -> Evaluated<CowVal<'b, 'w>>
    where
        Self: 'w,
    {
        let sum = self.items().as_adder().map(|items| items.add(other));
        let sum = sum.unwrap_or_else(|| Err(no_overload("_+_", self, other)))?;
        Ok(made_list(sum.into_owned(), &self.meter))
    }
}

impl Container for List<'_> {
    fn contains(&self, value: &dyn Val) -> Evaluated<bool> {
        for item in self.items().inner() {
            self.meter.steps(1)?;
            if item.equals(value) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Indexer for List<'_> {
    fn get<'b, 'w>(&'b self, index: &dyn Val) -> Evaluated<CowVal<'b, 'w>>
    where
        Self: 'w,
    {
        if let Some(made) = self.made.get()
            && let Some(items) = made.as_indexer()
        {
            return items.get(index);
        }
        let item = place_of(index)?.and_then(|place| self.lent.get(place));
        match item {
            Some(item) => of_json(item, &self.meter).map(CowVal::Owned),
            None => Err(ExecutionError::IndexOutOfBounds(
                Value::try_from(index).unwrap_or(Value::Null),
            )),
        }
    }

    fn steal<'w>(self: Box<Self>, index: &dyn Val) -> Evaluated<Boxed<'w>>
    where
        Self: 'w,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Sizer for List<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.len()).unwrap_or(i64::MAX))
    }
}

impl Zeroer for List<'_> {
    fn is_zero_value(&self) -> bool {
        self.len() == 0
    }
}

/// Which element `index` is, where there can be one.
fn place_of(index: &dyn Val) -> Evaluated<Option<usize>> {
    if let Some(place) = index.downcast_ref::<CelInt>() {
        return Ok(usize::try_from(*place.inner()).ok());
    }
    if let Some(place) = index.downcast_ref::<CelUInt>() {
        return Ok(usize::try_from(*place.inner()).ok());
    }
    match index.downcast_ref::<CelDouble>() {
        Some(place) if place.inner().fract() == 0.0 => {
            let place = to_int(*place.inner());
            Ok(usize::try_from(place).ok())
        }
        _ => Err(ExecutionError::UnexpectedType {
            got: index.get_type().name().to_owned(),
            want: "int|uint|double".to_owned(),
        }),
    }
}

/// A list that the interpreter made, as one that is shared.
pub(super) fn made_list<'b, 'v>(list: Boxed<'v>, meter: &Arc<Meter>) -> CowVal<'b, 'v> {
    match Vec::<Boxed<'v>>::try_from(list) {
        Ok(items) => CowVal::owned(List::made(items, meter)),
        Err(other) => CowVal::Owned(other),
    }
}
