//! One document as a JSON value.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::domain::fault::{Fault, shown};

/// The most values in one text, aliases counted each time that they are used.
pub(super) const MOST_VALUES: usize = 1 << 20;

/// The most faults of its own that are reported of one document.
const MOST_FAULTS: usize = 20;

/// Reads one document, taking what it holds from the number of values that are `left`.
pub(super) fn read<'de, D: Deserializer<'de>>(
    document: D,
    left: &Cell<usize>,
    whole_floats: bool,
) -> Read<D::Error> {
    let trace = Trace {
        left,
        whole_floats,
        path: RefCell::default(),
        faults: RefCell::default(),
    };
    Read {
        value: Node(&trace).deserialize(document),
        path: trace.path(),
        faults: trace.faults.into_inner(),
    }
}

/// What came of reading a document.
pub(super) struct Read<E> {
    pub(super) value: Result<Value, E>,
    /// Where the reading ended: after an error, what is wrong.
    pub(super) path: String,
    /// What is wrong and could be read over, such as a field that is given twice.
    pub(super) faults: Vec<Fault>,
}

/// Where in a document the reading is, and what it found.
struct Trace<'a> {
    /// How many more values may be read.
    left: &'a Cell<usize>,
    /// Whether `1.0` is a whole number.
    whole_floats: bool,
    /// The way to the value that is being read; after an error, to what is wrong.
    path: RefCell<Vec<Step>>,
    faults: RefCell<Vec<Fault>>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Trace<'_> {
    fn path(&self) -> String {
        const LONGEST: usize = 12;
        let mut path = String::new();
        for (i, step) in self.path.borrow().iter().enumerate() {
            if i == LONGEST {
                path.push('…');
                break;
            }
            match step {
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(shown(key).trim_matches('`'));
                }
                Step::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path
    }

    fn fault(&self, message: String) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MOST_FAULTS {
            faults.push(Fault::new(self.path(), message));
        }
    }

    fn enter(&self, step: Step) {
        self.path.borrow_mut().push(step);
    }

    fn leave(&self) {
        self.path.borrow_mut().pop();
    }
}

/// Reads one value, as long as some are left.
#[derive(Clone, Copy)]
struct Node<'t>(&'t Trace<'t>);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.left.get().checked_sub(1).ok_or_else(|| {
            de::Error::custom(format!(
                "more than {MOST_VALUES} values, counting those that aliases repeat"
            ))
        })?;
        self.0.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        /// The doubles up to here hold every whole number.
        const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;
        if self.0.whole_floats && value.fract() == 0.0 && value.abs() <= LARGEST_WHOLE {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole and small enough"
            )]
            return Ok((value as i64).into());
        }
        let number = Number::from_f64(value);
        if number.is_none() {
            self.0
                .fault(format!("`{value}` is no number that JSON can hold"));
        }
        Ok(number.map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _tagged: A) -> Result<Value, A::Error> {
        Err(de::Error::custom("tags (`!name`) are not supported"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.0.enter(Step::Index(list.len()));
            let Some(item) = items.next_element_seed(self)? else {
                break;
            };
            self.0.leave();
            list.push(item);
        }
        self.0.leave();
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            self.0.enter(Step::Key(key.clone()));
            let value = entries.next_value_seed(self)?;
            if map.contains_key(&key) {
                self.0.fault("is given twice".to_owned());
            }
            self.0.leave();
            match (key.as_str(), value) {
                ("<<", Value::Object(others)) => merged.push(others),
                ("<<", Value::Array(items)) => {
                    merged.extend(items.into_iter().filter_map(|item| match item {
                        Value::Object(others) => Some(others),
                        _ => None,
                    }));
                }
                (_, value) => {
                    map.entry(key).or_insert(value);
                }
            }
        }
        for (key, value) in merged.into_iter().flatten() {
            map.entry(key).or_insert(value);
        }
        Ok(map.into())
    }
}

/// Reads a key: a text, or a number or boolean as a text.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
}
