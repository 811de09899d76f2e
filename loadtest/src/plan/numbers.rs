//! Between counts and the rates that a model computes with.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

/// The whole number next to it that is not below it.
pub(super) fn up(rate: f64) -> u32 {
    whole(rate.ceil())
}

/// What is whole already, as a count; what fits none is the largest or the least.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
pub(super) fn whole(rate: f64) -> u32 {
    rate.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Begun units of that size.
pub(super) fn begun(bytes: f64, unit: f64) -> f64 {
    (bytes / unit - 1e-9).ceil().max(1.0)
}

/// The greatest common divisor.
pub(super) fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
