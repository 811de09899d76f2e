//! Figures as people read them. Whole-number arithmetic on exact sums, rounded only here, where they are shown.

use shared::money::UsdSum;

/// Decimal places of a sum.
const PLACES: u32 = 15;

/// A whole number with commas between its thousands.
pub(crate) fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (n, digit) in digits.char_indices() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A whole number in at most six characters or so, such as `356.3M`, cut and not rounded.
pub(crate) fn compact(number: i128) -> String {
    let size = number.unsigned_abs();
    let steps = [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")];
    let sign = if number < 0 { "-" } else { "" };
    match steps.iter().find(|(step, _)| size >= *step) {
        Some((step, letter)) => format!("{sign}{}.{}{letter}", size / step, size % step / (step / 10)),
        None => number.to_string(),
    }
}

/// A sum in units of 10^-15 dollars.
pub(crate) fn units(sum: UsdSum) -> i128 {
    let text = sum.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    // A sum's own text always fits.
    sign * format!("{whole}{decimals:0<15}").parse::<i128>().unwrap_or(i128::MAX)
}

/// Units of 10^-15 dollars as dollars with `places` decimal places, at most 15, rounded half away from zero.
pub(crate) fn dollars(units: i128, places: u32) -> String {
    let places = places.min(PLACES);
    let step = 10_u128.pow(PLACES - places);
    let rounded = (units.unsigned_abs() + step / 2) / step;
    let one = 10_u128.pow(places);
    let sign = if units < 0 && rounded > 0 { "-" } else { "" };
    let whole = grouped(i128::try_from(rounded / one).unwrap_or(i128::MAX));
    if places == 0 {
        return format!("{sign}${whole}");
    }
    format!("{sign}${whole}.{:0width$}", rounded % one, width = places as usize)
}

/// `part` of `whole` in tenths of a percent, such as `12.5%`; empty where there is no whole.
pub(crate) fn share(part: i128, whole: i128) -> String {
    if whole <= 0 {
        return String::new();
    }
    // Both fit many times over: a sum of dollars is below 10^38, and so it is scaled down first.
    let scale = (whole / 1_000_000_000_000).max(1);
    let tenths = (part / scale) * 1000 / (whole / scale).max(1);
    format!("{}.{}%", tenths / 10, (tenths % 10).abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!([grouped(0), grouped(-1234), grouped(1_234_567)], ["0", "-1,234", "1,234,567"]);
        let compacted = [0, 999, -1000, 356_353_864, 2_000_000_000_000].map(compact);
        assert_eq!(compacted, ["0", "999", "-1.0k", "356.3M", "2.0T"]);
        let shown = |text: &str, places| dollars(units(text.parse().unwrap()), places);
        assert_eq!(shown("1234.565", 2), "$1,234.57");
        assert_eq!(shown("-0.004", 2), "$0.00");
        assert_eq!(shown("-0.005", 2), "-$0.01");
        assert_eq!(shown("0.0002832", 4), "$0.0003");
        assert_eq!(shown("12.5", 0), "$13");
        assert_eq!([share(1, 8), share(1, 1), share(0, 5), share(1, 0)], ["12.5%", "100.0%", "0.0%", ""]);
        assert_eq!(share(i128::MAX / 2, i128::MAX), "50.0%");
    }

    proptest! {
        #[test]
        fn every_sum_keeps_its_units(whole in 0_i128..1_000_000_000_000, rest in 0_i128..1_000_000_000_000_000) {
            let sum: UsdSum = format!("-{whole}.{rest:015}").parse().unwrap();
            prop_assert_eq!(units(sum), -(whole * 1_000_000_000_000_000 + rest));
            let all = dollars(units(sum), 15).replace(',', "");
            prop_assert_eq!(all.replace('$', "").parse::<UsdSum>().unwrap(), sum);
        }
    }
}
