//! The shape of a measure: the exponent of a power of n that fits the steps best, by least squares on logarithms.

#![expect(clippy::float_arithmetic, reason = "statistics over measured times")]

use super::measure::{Measure, Sample, Unit};

/// Beneath these a difference is noise: what never passes them is flat.
const LEAST_TIME: u64 = 5_000;
const LEAST_MEMORY: u64 = 32 << 20;
/// What times differ by from run to run, as an exponent over a decade.
const TOLERANCE: f64 = 0.15;

/// A judged shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// Too few steps to tell.
    Unknown,
    /// It does not grow.
    Flat,
    /// It grows as this power of n, and no more than n log n would.
    Grows(f64),
    /// It grows as this power of n, more than n log n.
    Worse(f64),
}

/// The power of n that fits best; none for less than two points.
pub(super) fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(n, y)| (n.ln(), y.ln())).collect();
    let count = f64::from(u32::try_from(logs.len()).ok()?);
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let across: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let along: f64 = logs.iter().map(|p| (p.0 - x) * (p.0 - x)).sum();
    (logs.len() > 1 && along > 0.0).then(|| across / along)
}

/// Judges a measure by the last decade of its steps, where what is constant weighs least.
pub(super) fn shape(measure: &Measure, steps: &[(u64, Sample)]) -> Shape {
    let value = |(n, sample): &(u64, Sample)| Some((*n, sample.events, *sample.values.get(measure.key)?));
    let values: Vec<(u64, u64, u64)> = steps.iter().filter_map(value).collect();
    let Some(last) = values.last().map(|(n, ..)| *n) else { return Shape::Unknown };
    let values: Vec<_> = values.into_iter().filter(|(n, ..)| n.saturating_mul(10) >= last).collect();
    let least = match measure.unit {
        Unit::Time => LEAST_TIME,
        Unit::Memory => LEAST_MEMORY,
        Unit::Rate | Unit::Each | Unit::Disk => 0,
    };
    if values.len() > 1 && values.iter().all(|(.., value)| *value <= least) {
        return Shape::Flat;
    }
    let points: Vec<(f64, f64)> = values
        .iter()
        .map(|(n, _, value)| match measure.unit {
            // Of a rate, the time that one event takes.
            Unit::Rate => (float(*n), 1.0 / float(*value)),
            Unit::Each | Unit::Memory | Unit::Disk | Unit::Time => (float(*n), float(*value)),
        })
        .collect();
    let (Some(power), Some(first)) = (exponent(&points), points.first()) else { return Shape::Unknown };
    let n_log_n: Vec<(f64, f64)> = [first.0, float(last)].iter().map(|n| (*n, n * n.ln())).collect();
    let most = exponent(&n_log_n).unwrap_or(1.0) + TOLERANCE;
    // What one event takes may grow as log n, as all of them then take n log n.
    let most = if matches!(measure.unit, Unit::Rate | Unit::Each) { most - 1.0 } else { most };
    if power > most {
        Shape::Worse(power)
    } else if power <= TOLERANCE {
        Shape::Flat
    } else {
        Shape::Grows(power)
    }
}

#[expect(clippy::cast_precision_loss, reason = "measured values are far below 2^53")]
pub(super) fn float(n: u64) -> f64 {
    n as f64
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("one step only"),
            Self::Flat => f.write_str("flat"),
            Self::Grows(power) => write!(f, "n^{power:.2}"),
            Self::Worse(power) => write!(f, "n^{power:.2}: WORSE than n log n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::measure::MEASURES;

    fn judged(key: &str, value: fn(f64) -> f64) -> Shape {
        let measure = MEASURES.iter().find(|measure| measure.key == key).unwrap();
        let step = |n: u64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "made for the test")]
            let value = value(float(n)) as u64;
            (n, Sample { events: n, values: [(measure.key, value)].into() })
        };
        shape(measure, &[100_000, 300_000, 1_000_000, 3_000_000, 10_000_000].map(step))
    }

    #[test]
    fn what_does_not_grow_is_flat_and_so_is_what_is_too_small_to_tell() {
        assert_eq!(judged("by_agent", |_| 90_000.0), Shape::Flat);
        assert_eq!(judged("by_agent", |n| n / 2_500.0), Shape::Flat);
        assert_eq!(judged("committed", |_| 90_000.0), Shape::Flat);
    }

    #[test]
    fn n_and_n_log_n_pass_and_a_higher_power_does_not() {
        assert!(matches!(judged("by_session", |n| n), Shape::Grows(power) if (power - 1.0).abs() < 0.01));
        assert!(matches!(judged("by_session", |n| n * n.ln()), Shape::Grows(_)));
        assert!(matches!(judged("by_session", |n| n * n.sqrt()), Shape::Worse(_)));
    }

    #[test]
    fn a_rate_that_falls_with_the_logarithm_passes_and_one_that_falls_with_a_root_does_not() {
        assert!(!matches!(judged("committed", |n| 1e6 / n.ln()), Shape::Worse(_)));
        assert!(matches!(judged("committed", |n| 1e9 / n.sqrt()), Shape::Worse(_)));
    }

    #[test]
    fn early_steps_in_which_constants_weigh_more_do_not_hide_the_last_ones() {
        let bent = |n: f64| if n < 1_000_000.0 { 1e9 } else { 1e9 * (n / 1e6) * (n / 1e6) };
        assert!(matches!(judged("by_session", bent), Shape::Worse(power) if power > 1.9));
    }
}
