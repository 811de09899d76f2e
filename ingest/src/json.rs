//! JSON, read strictly: a key that comes twice is refused, since readers differ in which one of them holds, and
//! two of them would count different numbers.

use std::cell::RefCell;
use std::fmt;

use edge::Fault;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::cut;

/// Why bytes are not accepted as JSON.
#[derive(Debug)]
pub(crate) enum JsonError {
    /// They are no JSON.
    Syntax(serde_json::Error),
    /// A key comes twice; where.
    Repeated(Vec<Segment>),
}

/// A step from a value into it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

const REASON: &str = "comes twice; give each key once";

impl JsonError {
    /// The fault of a repeated key, at its event; none for other errors.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let Self::Repeated(path) = self else { return None };
        let (index, field) = match path.as_slice() {
            [Segment::Key(events), Segment::Index(index), field @ ..] if events == "events" => {
                (*index, field)
            }
            [Segment::Index(index), field @ ..] => (*index, field),
            [Segment::Key(events)] if events == "events" => {
                return Some(Fault::of_request("events", REASON));
            }
            field => (0, field),
        };
        let names = field.iter().map(|segment| match segment {
            Segment::Key(key) => cut(key),
            Segment::Index(index) => index.to_string(),
        });
        Some(Fault::of_event(index, &names.collect::<Vec<_>>().join("."), REASON))
    }
}

/// Reads a value, all of it.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, JsonError> {
    let repeated = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Strict(&repeated).deserialize(&mut deserializer);
    let read = read.and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| match repeated.take() {
        // Noted from the inside to the outside.
        Some(path) => JsonError::Repeated(path.into_iter().rev().collect()),
        None => JsonError::Syntax(error),
    })
}

#[derive(Clone, Copy)]
struct Strict<'a>(&'a RefCell<Option<Vec<Segment>>>);

impl Strict<'_> {
    fn step<E>(self, error: E, segment: impl FnOnce() -> Segment) -> E {
        if let Some(path) = self.0.borrow_mut().as_mut() {
            path.push(segment());
        }
        error
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            match seq.next_element_seed(self) {
                Ok(Some(value)) => values.push(value),
                Ok(None) => return Ok(Value::Array(values)),
                Err(error) => return Err(self.step(error, || Segment::Index(values.len()))),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                *self.0.borrow_mut() = Some(vec![Segment::Key(key)]);
                return Err(A::Error::custom("a key comes twice"));
            }
            match map.next_value_seed(self) {
                Ok(value) => object.insert(key, value),
                Err(error) => return Err(self.step(error, || Segment::Key(key))),
            };
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(json: &str) -> Option<(Option<usize>, String)> {
        read(json.as_bytes()).unwrap_err().fault().map(|fault| (fault.index, fault.field))
    }

    #[test]
    fn a_repeated_key_is_named_at_its_event() {
        for (json, index, field) in [
            (r#"{"usage":{"input":1},"usage":{"input":2}}"#, Some(0), "usage"),
            (r#"{"usage":{"input":1,"input":1}}"#, Some(0), "usage.input"),
            (r#"{"events":[{},{"usage":{"a":[0,{"b":1,"b":1}]}}]}"#, Some(1), "usage.a.1.b"),
            (r#"{"events":[],"events":[]}"#, None, "events"),
            (r#"[{},{},{"id":"x","id":"x"}]"#, Some(2), "id"),
        ] {
            assert_eq!(fault(json), Some((index, field.to_owned())), "{json}");
        }
        for syntax in ["", "{", "NaN", "{}x", "[1,]", r#"{"a":1e999}"#, "\u{feff}{}"] {
            assert_eq!(fault(syntax), None, "{syntax}");
        }
    }

    #[test]
    fn nesting_is_bounded_where_the_limits_say() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(edge::limits::MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert!(read(nested(edge::limits::MAX_JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(read("[".repeat(1 << 20).as_bytes()).is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_any_reader_would(value in value()) {
            let bytes = serde_json::to_vec(&value).unwrap();
            let plain: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(read(&bytes).unwrap(), plain);
        }
    }
}
