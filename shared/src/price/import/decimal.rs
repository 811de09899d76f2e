//! Numbers as they are written, never as floats: `1e-07` is 0.0000001 and not near it.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

/// The number that a JSON number or text says; none if it is none, or has more digits than a decimal.
pub(super) fn number(raw: &RawValue) -> Option<Decimal> {
    let text = raw.get();
    let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    parse(text)
}

/// The same of its text.
pub(super) fn parse(text: &str) -> Option<Decimal> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let value = crate::money::decimal(digits).ok()?;
    shifted(without_noise(value), exponent)
}

/// Lists that were once computed in floats hold `0.18000000000000002` where a provider says 0.18. No provider
/// states a price in sixteen digits; what a float adds is beyond the fifteenth, so twelve are kept.
fn without_noise(value: Decimal) -> Decimal {
    let value = value.normalize();
    if value.mantissa().unsigned_abs() < 10_u128.pow(15) {
        return value;
    }
    value.round_sf(12).unwrap_or(value).normalize()
}

/// `value` times ten to the power of `exponent`, exactly.
pub(super) fn shifted(value: Decimal, exponent: i32) -> Option<Decimal> {
    let value = value.normalize();
    let scale = i64::from(value.scale()) - i64::from(exponent);
    let mantissa = if scale < 0 {
        value.mantissa().checked_mul(10_i128.checked_pow(u32::try_from(-scale).ok()?)?)?
    } else {
        value.mantissa()
    };
    let scale = u32::try_from(scale.max(0)).ok()?;
    Decimal::try_from_i128_with_scale(mantissa, scale).ok().map(|value| value.normalize())
}

/// `value` to so many places: what cannot be kept exactly is rounded, half to even.
pub(super) fn kept(value: Decimal, places: u32) -> Decimal {
    value.round_dp(places).normalize()
}

/// `value` in `parts`, if that is exact within 15 places.
pub(super) fn divided(value: Decimal, parts: u32) -> Option<Decimal> {
    let value = value.normalize();
    let places = 15_u32.checked_sub(value.scale())?;
    let units = value.mantissa().checked_mul(10_i128.checked_pow(places)?)?;
    let parts = i128::from(parts);
    if parts == 0 || units % parts != 0 {
        return None;
    }
    Decimal::try_from_i128_with_scale(units / parts, 15).ok().map(|value| value.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_its_text_says() {
        for (text, wanted) in [
            ("1e-07", "0.0000001"),
            ("2.5E-06", "0.0000025"),
            ("1.0e2", "100"),
            ("0.0", "0"),
            ("3", "3"),
            ("0.1", "0.1"),
            ("1.25e-9", "0.00000000125"),
            ("0.18000000000000002", "0.18"),
            ("1.4999999999999999e-07", "0.00000015"),
            ("0.123456789012345", "0.123456789012345"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), wanted, "{text}");
        }
        for text in ["", "e5", "NaN", "null", "1e", "1e-40", "0x1", "1e999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_division_is_exact_or_none() {
        assert_eq!(divided("0.36".parse().unwrap(), 3600).unwrap().to_string(), "0.0001");
        assert_eq!(divided("0.111".parse().unwrap(), 3600), None);
        assert_eq!(divided(Decimal::ONE, 0), None);
    }
}
