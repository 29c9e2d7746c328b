//! Maps, lent from JSON or shared however often they are copied; gone through in the order of their keys.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use cel_interpreter::ExecutionError;
use cel_interpreter::common::traits::{
    Container, Indexer, Iterable, Iterator as Elements, Sizer, Zeroer,
};
use cel_interpreter::common::types::{
    CelDouble, CelInt, CelMap, CelMapKey, CelString, CelUInt, Kind, MAP_TYPE, Type,
};
use cel_interpreter::common::value::{CowVal, Val};
use serde_json::Value as Json;

use super::meter::Meter;
use super::value::{Boxed, Evaluated, of_json, size_of};

/// A JSON object.
#[derive(Debug)]
pub(super) struct JsonMap<'v> {
    members: &'v serde_json::Map<String, Json>,
    /// Its names as values, once somebody goes through them.
    names: OnceLock<Vec<Boxed<'v>>>,
    meter: Arc<Meter>,
}

impl<'v> JsonMap<'v> {
    pub(super) fn new(members: &'v serde_json::Map<String, Json>, meter: &Arc<Meter>) -> Self {
        Self {
            members,
            names: OnceLock::new(),
            meter: meter.clone(),
        }
    }

    fn member(&self, key: &dyn Val) -> Option<&'v Json> {
        self.members
            .get(key.downcast_ref::<CelString<'_>>()?.inner())
    }
}

impl Val for JsonMap<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
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
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        are_equal_maps(self, other, &self.meter)
    }

    fn clone_as_boxed<'w>(&self) -> Boxed<'w>
    where
        Self: 'w,
    {
        Box::new(Self::new(self.members, &self.meter))
    }
}

impl Container for JsonMap<'_> {
    fn contains(&self, key: &dyn Val) -> Evaluated<bool> {
        match self.member(key) {
            Some(_) => Ok(true),
            None if is_key(key) => Ok(false),
            None => Err(not_a_key(key)),
        }
    }
}

impl Indexer for JsonMap<'_> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Evaluated<CowVal<'b, 'w>>
    where
        Self: 'w,
    {
        match self.member(key) {
            Some(json) => of_json(json, &self.meter).map(CowVal::Owned),
            None if is_key(key) => Err(ExecutionError::no_such_key(&key_text(key))),
            None => Err(not_a_key(key)),
        }
    }

    fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Evaluated<Boxed<'w>>
    where
        Self: 'w,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

impl Iterable for JsonMap<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn Elements<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        let names = self.names.get_or_init(|| {
            let names = self.members.keys();
            names
                .map(|name| Box::new(CelString::from(name.as_str())) as Boxed<'_>)
                .collect()
        });
        Box::new(OneByOne(names.iter()))
    }
}

impl Sizer for JsonMap<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.members.len()).unwrap_or(i64::MAX))
    }
}

impl Zeroer for JsonMap<'_> {
    fn is_zero_value(&self) -> bool {
        self.members.is_empty()
    }
}

/// A map that an expression made. The interpreter's own goes through its keys in an order of chance.
#[derive(Clone, Debug)]
pub(super) struct Map<'v> {
    entries: Arc<CelMap<'v>>,
    /// Its keys in order.
    keys: Arc<[Boxed<'v>]>,
    meter: Arc<Meter>,
}

impl<'v> Map<'v> {
    pub(super) fn new(entries: CelMap<'v>, meter: &Arc<Meter>) -> Self {
        let ordered: BTreeSet<&CelMapKey<'v>> = entries.inner().keys().collect();
        let keys = ordered.into_iter();
        let keys = keys.map(|key| key.inner().clone_as_boxed()).collect();
        Self {
            entries: Arc::new(entries),
            keys,
            meter: meter.clone(),
        }
    }

    /// Values by name, the first of each.
    pub(super) fn by_name(
        named: impl Iterator<Item = (&'v str, Boxed<'v>)>,
        meter: &Arc<Meter>,
    ) -> Self {
        let mut entries = HashMap::new();
        for (name, value) in named {
            let key = CelMapKey::String(CelString::from(name));
            entries.entry(key).or_insert(value);
        }
        Self::new(CelMap::from(entries), meter)
    }
}

impl Val for Map<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        self.entries.as_container()
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        self.entries.as_indexer()
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.entries.as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.entries.as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        are_equal_maps(self, other, &self.meter)
    }

    fn clone_as_boxed<'w>(&self) -> Boxed<'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl Iterable for Map<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn Elements<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        Box::new(OneByOne(self.keys.iter()))
    }
}

struct OneByOne<'b, 'v>(std::slice::Iter<'b, Boxed<'v>>);

impl<'b, 'v: 'w, 'w> Elements<'b, 'w> for OneByOne<'b, 'v> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0
            .next()
            .map(|element| element.as_ref() as &(dyn Val + 'w))
    }
}

/// Whether two maps have the same keys with equal values.
fn are_equal_maps(map: &dyn Val, other: &dyn Val, meter: &Meter) -> bool {
    if other.get_type().kind() != Kind::Map || size_of(map) != size_of(other) {
        return false;
    }
    let (Some(keys), Some(ours), Some(theirs)) =
        (map.as_iterable(), map.as_indexer(), other.as_indexer())
    else {
        return false;
    };
    let mut keys = keys.iter();
    while let Some(key) = keys.next() {
        let equal = meter.steps(1).is_ok()
            && matches!((ours.get(key), theirs.get(key)), (Ok(a), Ok(b)) if a.equals(b.as_ref()));
        if !equal {
            return false;
        }
    }
    true
}

/// Whether a map of any kind could have `key`; a JSON object only has texts.
fn is_key(key: &dyn Val) -> bool {
    matches!(
        key.get_type().kind(),
        Kind::String | Kind::Int | Kind::UInt | Kind::Double | Kind::Boolean
    )
}

fn key_text(key: &dyn Val) -> String {
    if let Some(text) = key.downcast_ref::<CelString<'_>>() {
        text.inner().to_owned()
    } else if let Some(number) = key.downcast_ref::<CelInt>() {
        number.inner().to_string()
    } else if let Some(number) = key.downcast_ref::<CelUInt>() {
        number.inner().to_string()
    } else if let Some(number) = key.downcast_ref::<CelDouble>() {
        number.inner().to_string()
    } else {
        key.get_type().name().to_owned()
    }
}

fn not_a_key(key: &dyn Val) -> ExecutionError {
    ExecutionError::UnexpectedType {
        got: key.get_type().name().to_owned(),
        want: "map key".to_owned(),
    }
}
