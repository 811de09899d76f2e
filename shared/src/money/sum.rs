//! Sums of amounts: wide enough that no sum of accepted events reaches their end.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MAX_SCALE, MoneyError, UnitPrice, Usd};

const ONE: i128 = 10_i128.pow(MAX_SCALE);

/// An exact sum of amounts, in units of 10^-15 US dollars: below 10^23 dollars, ten billion times the largest
/// amount. A limit on the sums themselves would let one sender's absurd numbers stop everybody's totals.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "crate::schema::DecimalText")]
pub struct UsdSum(i128);

impl UsdSum {
    /// The sum of nothing.
    pub const ZERO: UsdSum = UsdSum(0);
    /// The largest sum.
    pub const MAX: UsdSum = UsdSum(i128::MAX);

    /// The exact sum; none if it would not fit.
    pub fn checked_add(self, other: UsdSum) -> Option<UsdSum> {
        self.0.checked_add(other.0).map(UsdSum)
    }

    /// The exact price of `count` units; none if it would not fit.
    pub fn of_units(price: UnitPrice, count: i128) -> Option<UsdSum> {
        price.0.units().checked_mul(count).map(UsdSum)
    }

    /// In units of 10^-15 US dollars.
    pub fn units(self) -> i128 {
        self.0
    }

    /// The same sum with the other sign.
    #[must_use]
    pub fn negated(self) -> UsdSum {
        UsdSum(self.0.saturating_neg())
    }

    /// The same sum without its sign.
    #[must_use]
    pub fn magnitude(self) -> UsdSum {
        UsdSum(self.0.saturating_abs())
    }
}

impl From<Usd> for UsdSum {
    fn from(usd: Usd) -> Self {
        Self(usd.units())
    }
}

impl fmt::Display for UsdSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let one = ONE.unsigned_abs();
        let (whole, rest) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let digits = format!("{rest:015}");
        let decimals = digits.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        f.pad(&format!("{sign}{whole}{point}{decimals}"))
    }
}

impl fmt::Debug for UsdSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

impl FromStr for UsdSum {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let bad = || MoneyError::NotANumber(super::cut(text));
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let places = u32::try_from(decimals.len()).map_err(|_| bad())?;
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(decimals) {
            return Err(bad());
        }
        let Some(missing) = MAX_SCALE.checked_sub(places) else {
            return Err(MoneyError::TooFine(super::cut(text)));
        };
        let whole = whole.parse::<i128>().ok().and_then(|whole| whole.checked_mul(ONE));
        let decimals = decimals.parse::<i128>().ok().map(|decimals| decimals * 10_i128.pow(missing));
        let sum = whole.zip(decimals).and_then(|(whole, decimals)| whole.checked_add(decimals));
        sum.map(|sum| Self(sign * sum)).ok_or(MoneyError::TooLarge)
    }
}

impl TryFrom<String> for UsdSum {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<UsdSum> for String {
    fn from(sum: UsdSum) -> String {
        sum.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sum_reads_like_an_amount() {
        for text in ["0", "0.003", "-0.003", "8.000000000000001", "-9999999999999.999999999999999", "10"] {
            let usd: Usd = text.parse().unwrap();
            assert_eq!(UsdSum::from(usd).to_string(), text);
            assert_eq!(text.parse::<UsdSum>().unwrap(), UsdSum::from(usd));
        }
        assert_eq!(format!("{:>6}", UsdSum::from("0.5".parse::<Usd>().unwrap())), "   0.5");
        assert_eq!(UsdSum::MAX.to_string(), "170141183460469231731687.303715884105727");
        for bad in ["", "-", ".5", "5.", "+5", "1e3", "0x1", "1.0000000000000001", "1 ", "--1", "1.-5"] {
            assert!(bad.parse::<UsdSum>().is_err(), "{bad}");
        }
        assert!("170141183460469231731687.303715884105728".parse::<UsdSum>().is_err());
    }

    #[test]
    fn what_would_not_fit_is_refused() {
        let one = UsdSum::from("0.000000000000001".parse::<Usd>().unwrap());
        assert_eq!(UsdSum::MAX.checked_add(one), None);
    }

    proptest! {
        #[test]
        fn every_sum_survives_its_text(units in any::<i128>().prop_filter("has a negative", |n| *n != i128::MIN)) {
            let sum = UsdSum(units);
            prop_assert_eq!(sum.to_string().parse::<UsdSum>(), Ok(sum));
        }
    }
}
