//! Lists, shared however often they are copied.

use std::sync::Arc;

use cel_interpreter::common::traits::{Adder, Container, Indexer, Iterable, Sizer, Zeroer};
use cel_interpreter::common::types::{CelList, Kind, LIST_TYPE, Type};
use cel_interpreter::common::value::{CowVal, Val};

use super::meter::Meter;
use super::value::{Boxed, Evaluated, no_overload, size_of};

/// A list.
#[derive(Clone, Debug)]
pub(super) struct List<'v> {
    items: Arc<CelList<'v>>,
    meter: Arc<Meter>,
}

impl<'v> List<'v> {
    pub(super) fn new(items: Vec<Boxed<'v>>, meter: &Arc<Meter>) -> Self {
        Self {
            items: Arc::new(CelList::from(items)),
            meter: meter.clone(),
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
        self.items.as_iterable()
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.items.as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.items.as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        if other.get_type().kind() != Kind::List || size_of(other) != Some(self.items.inner().len())
        {
            return false;
        }
        let Some(others) = other.as_iterable() else {
            return false;
        };
        let mut others = others.iter();
        self.items.inner().iter().all(|item| {
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
        let sum = self.items.as_adder().map(|items| items.add(other));
        let sum = sum.unwrap_or_else(|| Err(no_overload("_+_", self, other)))?;
        Ok(made_list(sum.into_owned(), &self.meter))
    }
}

impl Container for List<'_> {
    fn contains(&self, value: &dyn Val) -> Evaluated<bool> {
        for item in self.items.inner() {
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
        match self.items.as_indexer() {
            Some(items) => items.get(index),
            None => Err(no_overload("_[_]", self, index)),
        }
    }

    fn steal<'w>(self: Box<Self>, index: &dyn Val) -> Evaluated<Boxed<'w>>
    where
        Self: 'w,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

/// A list that the interpreter made, as one that is shared.
pub(super) fn made_list<'b, 'v>(list: Boxed<'v>, meter: &Arc<Meter>) -> CowVal<'b, 'v> {
    match Vec::<Boxed<'v>>::try_from(list) {
        Ok(items) => CowVal::owned(List::new(items, meter)),
        Err(other) => CowVal::Owned(other),
    }
}
