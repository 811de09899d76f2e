//! Leaf readers: counts, names and money of a provider's usage object.

use rust_decimal::Decimal;
use serde_json::Value;

use super::ExtractError;
use crate::money::{MAX_SCALE, Usd};
use crate::usage::MAX_COUNT;

/// A count that may be absent or null, which is 0.
pub(super) fn count(object: &Value, name: &str) -> Result<u64, ExtractError> {
    Ok(known(object, name)?.unwrap_or(0))
}

/// A count, unless it is absent or null. Some providers write whole numbers as `7.0` or as strings.
pub(super) fn known(object: &Value, name: &str) -> Result<Option<u64>, ExtractError> {
    let whole = match &object[name] {
        Value::Null => return Ok(None),
        Value::Number(n) => n.as_u64(),
        Value::String(text) => whole(text),
        _ => None,
    };
    whole.filter(|n| *n <= MAX_COUNT).map(Some).ok_or_else(|| ExtractError::Count(name.to_owned()))
}

fn whole(text: &str) -> Option<u64> {
    let value = decimal(text)?;
    (value.fract().is_zero() && !value.is_sign_negative()).then(|| value.trunc().try_into().ok()).flatten()
}

/// A quantity such as seconds, times `scale`, each begun unit counting; none if it is absent, null or negative.
pub(super) fn begun(object: &Value, name: &str, scale: u64) -> Result<Option<u64>, ExtractError> {
    let bad = || ExtractError::Count(name.to_owned());
    let value = match &object[name] {
        // Mistral's clients send `{}` for what is not there.
        Value::Null | Value::Object(_) => return Ok(None),
        Value::Number(n) => n.as_u64().map(Decimal::from),
        Value::String(text) => decimal(text),
        _ => None,
    };
    let scaled = value.and_then(|value| value.checked_mul(Decimal::from(scale))).ok_or_else(bad)?;
    if scaled.is_sign_negative() {
        return Err(bad());
    }
    let begun: u64 = scaled.ceil().try_into().map_err(|_| bad())?;
    if begun > MAX_COUNT { Err(bad()) } else { Ok(Some(begun)) }
}

/// The first of several spellings of a member that is there.
pub(super) fn first<'a>(object: &'a Value, names: &[&'static str]) -> (&'static str, &'a Value) {
    static NULL: Value = Value::Null;
    let found = names
        .iter()
        .find_map(|name| object.get(*name).filter(|value| !value.is_null()).map(|value| (*name, value)));
    found.unwrap_or((names.first().copied().unwrap_or(""), &NULL))
}

/// A name that is there and not empty.
pub(super) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object[name].as_str().filter(|text| !text.is_empty())
}

/// An amount in US dollars that the provider states; none if it states none that can be read.
///
/// Providers write floats; what stands after the 15th decimal place is the noise of their sums, and is rounded.
pub(super) fn money(value: &Value) -> Option<Usd> {
    let value = match value {
        Value::Number(n) => n.as_u64().map(Decimal::from),
        Value::String(text) => decimal(text),
        _ => None,
    };
    let value = value.filter(|value| !value.is_sign_negative() || value.is_zero())?;
    Usd::new(value.round_dp(MAX_SCALE)).ok()
}

/// A decimal number as JSON writes it; scientific notation too.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'-');
    if !begins || text.len() > 64 {
        return None;
    }
    let plain = !text.contains(['e', 'E']);
    if plain { text.parse().ok() } else { Decimal::from_scientific(text).ok() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stated_costs_are_read_without_floats() {
        for (stated, read) in [
            (json!("1e-05"), Some("0.00001")),
            (json!("0.00123"), Some("0.00123")),
            (json!("4.1400000000000003e-05"), Some("0.0000414")),
            (json!(2), Some("2")),
            (json!("-1.5"), None),
            (json!("high"), None),
            (json!({"total_cost": 1}), None),
        ] {
            assert_eq!(money(&stated).map(|usd| usd.to_string()).as_deref(), read, "{stated}");
        }
    }

    #[test]
    fn counts_are_whole() {
        let object =
            json!({"a": 7, "b": "7.0", "c": "1.5", "d": "-3", "e": [], "f": null, "g": "9007199254740993"});
        assert_eq!(count(&object, "a").unwrap(), 7);
        assert_eq!(count(&object, "b").unwrap(), 7);
        assert_eq!(count(&object, "f").unwrap(), 0);
        for name in ["c", "d", "e", "g"] {
            assert!(matches!(count(&object, name), Err(ExtractError::Count(_))), "{name}");
        }
        assert_eq!(begun(&json!({"s": "2.811363"}), "s", 1000).unwrap(), Some(2812));
    }
}
