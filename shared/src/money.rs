//! Exact money: decimals that never round, and sums that hold whatever was accepted.
//!
//! `rust_decimal` rounds silently when a result needs more than its 96-bit mantissa. [`Usd`] bounds scale and
//! size so that an amount is always exact, and refuses what would not be; [`UsdSum`] adds them up.

mod sum;

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::DecimalText;
pub use sum::UsdSum;

/// The most decimal places of an amount or a unit price: $10^-15 a token is $10^-9 a million.
pub const MAX_SCALE: u32 = 15;
/// Amounts stay below this many US dollars: 13 + 15 digits fit a 96-bit mantissa.
const LIMIT: i128 = 10_000_000_000_000;
const LIMIT_MANTISSA: i128 = LIMIT * 10_i128.pow(MAX_SCALE);

/// An exact amount of US dollars, negative for a correction; below 10^13, at most 15 decimal places.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Decimal", into = "Decimal")]
#[schemars(with = "DecimalText")]
pub struct Usd(Decimal);

/// Why a number is not an exact amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// It needs more decimal places than an amount has.
    #[error("{0} has more than {MAX_SCALE} decimal places")]
    TooFine(String),
    /// It is not below 10^13 dollars.
    #[error("the amount is not below 10^13 US dollars")]
    TooLarge,
    /// It is no decimal number.
    #[error("{0:?} is not a decimal number such as \"0.000002\"")]
    NotANumber(String),
    /// A price below zero.
    #[error("{0} is negative")]
    Negative(String),
}

impl Usd {
    /// Nothing spent: a known amount, unlike an unknown cost.
    pub const ZERO: Usd = Usd(Decimal::ZERO);

    /// Accepts a decimal if sums of it stay exact.
    pub fn new(value: Decimal) -> Result<Self, MoneyError> {
        let value = value.normalize();
        if value.scale() > MAX_SCALE {
            return Err(MoneyError::TooFine(value.to_string()));
        }
        if value.trunc().mantissa().abs() >= LIMIT {
            return Err(MoneyError::TooLarge);
        }
        Ok(Self(value))
    }

    /// The amount of so many units of 10^-15 dollars.
    pub(crate) fn from_units(units: i128) -> Result<Self, MoneyError> {
        if units.abs() >= LIMIT_MANTISSA {
            return Err(MoneyError::TooLarge);
        }
        // Nearly every amount: in one word, where the library divides three.
        if let Ok(mut small) = i64::try_from(units) {
            let mut scale = MAX_SCALE;
            while scale > 0 && small % 10 == 0 {
                (small, scale) = (small / 10, scale - 1);
            }
            return Ok(Self(Decimal::new(small, scale)));
        }
        let value = Decimal::try_from_i128_with_scale(units, MAX_SCALE).map_err(|_| MoneyError::TooLarge)?;
        Ok(Self(value.normalize()))
    }

    /// The amount in units of 10^-15 dollars.
    fn units(self) -> i128 {
        self.0.mantissa() * 10_i128.pow(MAX_SCALE - self.0.scale())
    }

    /// The exact sum, if it is an amount still.
    pub fn checked_add(self, other: Usd) -> Result<Usd, MoneyError> {
        Self::from_units(self.units() + other.units())
    }

    /// `percent` of this amount, rounded up to the last place kept, so that reaching it is never early.
    pub fn percent(self, percent: u32) -> Result<Usd, MoneyError> {
        let product = self.units().checked_mul(i128::from(percent)).ok_or(MoneyError::TooLarge)?;
        let whole = product.div_euclid(100);
        let up = i128::from(product.rem_euclid(100) != 0);
        Self::from_units(whole + up)
    }
}

/// What is echoed of a text that is no number.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

impl TryFrom<Decimal> for Usd {
    type Error = MoneyError;

    fn try_from(value: Decimal) -> Result<Self, MoneyError> {
        Self::new(value)
    }
}

impl From<Usd> for Decimal {
    fn from(usd: Usd) -> Decimal {
        usd.0
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let value = decimal(text)?;
        Self::new(value)
    }
}

/// Digits, with at most one point between them. The library takes `1_000`, `.5` and `+5` as well, which another
/// reader of the same file may read otherwise.
pub(crate) fn decimal(text: &str) -> Result<Decimal, MoneyError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    let value = plain.then(|| Decimal::from_str_exact(text).ok()).flatten();
    value.ok_or_else(|| MoneyError::NotANumber(cut(text)))
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0)
    }
}

/// The price of one unit (a token, a search) in US dollars, not negative, below a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Decimal", into = "Decimal")]
#[schemars(with = "DecimalText")]
pub struct UnitPrice(Usd);

impl UnitPrice {
    /// Accepts a price per unit.
    pub fn new(value: Decimal) -> Result<Self, MoneyError> {
        let usd = Usd::new(value)?;
        if usd.0.is_sign_negative() && !usd.0.is_zero() {
            return Err(MoneyError::Negative(value.to_string()));
        }
        if usd.0 >= Decimal::from(1_000_000) {
            return Err(MoneyError::TooLarge);
        }
        Ok(Self(usd))
    }

    /// A price that is published per million units.
    pub fn per_million(value: Decimal) -> Result<Self, MoneyError> {
        let value = value.normalize();
        let scale = value.scale() + 6;
        let unit = Decimal::try_from_i128_with_scale(value.mantissa(), scale)
            .map_err(|_| MoneyError::TooFine(value.to_string()))?;
        Self::new(unit)
    }

    /// The exact cost of `count` units.
    pub fn times(self, count: u64) -> Result<Usd, MoneyError> {
        Usd::from_units(self.units_of(count).ok_or(MoneyError::TooLarge)?)
    }

    /// The same in units of 10^-15 dollars, which may be more than an amount can be.
    pub(crate) fn units_of(self, count: u64) -> Option<i128> {
        // Below 10^21 units times 2^64 does not pass 2^127 for the counts a usage may hold; beyond, refuse.
        self.0.units().checked_mul(i128::from(count))
    }

    /// The price as a decimal, in US dollars per unit.
    pub fn as_decimal(self) -> Decimal {
        self.0.0
    }
}

impl FromStr for UnitPrice {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let value = decimal(text)?;
        Self::new(value)
    }
}

impl TryFrom<Decimal> for UnitPrice {
    type Error = MoneyError;

    fn try_from(value: Decimal) -> Result<Self, MoneyError> {
        Self::new(value)
    }
}

impl From<UnitPrice> for Decimal {
    fn from(price: UnitPrice) -> Decimal {
        price.0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_would_round() {
        assert!("0.0000000000000001".parse::<Usd>().is_err());
        assert!("10000000000000".parse::<Usd>().is_err());
        assert_eq!(
            "9999999999999.999999999999999".parse::<Usd>().unwrap().to_string(),
            "9999999999999.999999999999999"
        );
        assert!("NaN".parse::<Usd>().is_err());
        assert!("-1".parse::<UnitPrice>().is_err());
        assert_eq!("0.0030".parse::<Usd>().unwrap().to_string(), "0.003");
    }

    #[test]
    fn a_threshold_is_never_below_the_exact_percentage() {
        let limit: Usd = "0.000000000000001".parse().unwrap();
        assert_eq!(limit.percent(50).unwrap(), limit);
        let ten: Usd = "10".parse().unwrap();
        assert_eq!(ten.percent(80).unwrap().to_string(), "8");
    }

    #[test]
    fn published_prices_divide_exactly() {
        let price = UnitPrice::per_million("0.075".parse().unwrap()).unwrap();
        assert_eq!(price.as_decimal().to_string(), "0.000000075");
        assert_eq!(price.times(1_000_000).unwrap().to_string(), "0.075");
    }

    #[test]
    fn an_amount_has_its_shortest_form_in_one_word_and_in_three() {
        let i64s =
            [0, 1, -10, 9_999, 1_234_500_000_000_000, i64::MAX, i64::MIN, i64::MIN + 8, 10_i64.pow(18)];
        let wider = [i128::from(i64::MAX) + 1, 10_i128.pow(19), -(10_i128.pow(27))];
        for units in i64s.into_iter().map(i128::from).chain(wider) {
            let library = Decimal::from_i128_with_scale(units, MAX_SCALE).normalize();
            let ours = Usd::from_units(units).unwrap().0;
            assert_eq!((ours.mantissa(), ours.scale()), (library.mantissa(), library.scale()), "{units}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_associative_to_the_last_digit(
            amounts in prop::collection::vec((-999_999_999_999_999_999_i64..999_999_999_999_999_999, 0_u32..=15), 1..50)
        ) {
            let amounts: Vec<Usd> = amounts.iter()
                .map(|(n, scale)| Usd::new(Decimal::new(*n / 1000, *scale)).unwrap_or(Usd::ZERO))
                .collect();
            let add = |sum: Option<UsdSum>, more: UsdSum| sum.and_then(|sum| sum.checked_add(more));
            let sums = || amounts.iter().map(|x| UsdSum::from(*x));
            let forward = sums().fold(Some(UsdSum::ZERO), add);
            let backward = sums().rev().fold(Some(UsdSum::ZERO), add);
            prop_assert_eq!(forward, backward);
            let undone = sums().map(UsdSum::negated).fold(forward, add);
            prop_assert_eq!(undone, Some(UsdSum::ZERO));
        }
    }
}
