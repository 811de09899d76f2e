//! From counts that contain their parts, as most providers state them, to buckets that are disjoint.

use super::ExtractError;
use crate::usage::{Bucket, Usage};

/// Counts as providers state them: each whole contains its parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inclusive {
    pub(super) input: u64,
    /// Of the input: read from a cache, of whatever modality.
    pub(super) cached: u64,
    /// Of what was cached: audio, where the provider says so.
    pub(super) cached_audio: u64,
    /// Of what was cached: images, where the provider says so.
    pub(super) cached_image: u64,
    pub(super) written_5m: u64,
    pub(super) written_1h: u64,
    /// Of the input: audio, cached or not.
    pub(super) audio: u64,
    /// Of the input: images and video, cached or not.
    pub(super) image: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
    pub(super) output_audio: u64,
    pub(super) output_image: u64,
}

/// The provider's own names of these, for what is said of a contradiction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) input: &'static str,
    pub(super) input_details: &'static str,
    pub(super) output: &'static str,
    pub(super) output_details: &'static str,
}

impl Inclusive {
    /// The disjoint buckets.
    ///
    /// A provider that counts cached tokens and audio apart, without saying how much of the audio was cached,
    /// may state parts whose sum passes the whole: what is too much was both, cached and audio (or an image).
    pub(super) fn disjoint(self, names: Names) -> Result<Usage, ExtractError> {
        let above = |part, whole| ExtractError::PartAboveWhole { part, whole };
        let no_input = || above(names.input_details, names.input);
        let no_output = || above(names.output_details, names.output);
        let cached_audio = self.cached_audio.min(self.audio);
        let cached_image = self.cached_image.min(self.image);
        let (mut audio, mut image) = (self.audio - cached_audio, self.image - cached_image);
        let rest = self.cached.checked_sub(cached_audio.saturating_add(cached_image)).ok_or_else(no_input)?;
        let mut cached = [rest, cached_audio, cached_image];
        let written = self.written_5m.saturating_add(self.written_1h);
        if self.cached.saturating_add(written) > self.input
            || self.audio.saturating_add(self.image) > self.input
        {
            return Err(no_input());
        }
        let parts = [self.cached, written, audio, image].iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        let mut over = parts.saturating_sub(self.input);
        for (plain, bucket) in [(&mut audio, 1), (&mut image, 2)] {
            let both = over.min(*plain).min(cached[0]);
            *plain -= both;
            cached[0] -= both;
            cached[bucket] += both;
            over -= both;
        }
        let [cached, cached_audio, cached_image] = cached;
        let apart = [cached, cached_audio, cached_image, written, audio, image];
        let text = apart.iter().try_fold(self.input, |rest, n| rest.checked_sub(*n)).ok_or_else(no_input)?;
        let spoken = [self.reasoning, self.output_audio, self.output_image];
        let visible =
            spoken.iter().try_fold(self.output, |rest, n| rest.checked_sub(*n)).ok_or_else(no_output)?;
        Ok(Usage::new([
            (Bucket::Input, text),
            (Bucket::CacheRead, cached),
            (Bucket::CacheReadAudio, cached_audio),
            (Bucket::CacheReadImage, cached_image),
            (Bucket::CacheWrite5m, self.written_5m),
            (Bucket::CacheWrite1h, self.written_1h),
            (Bucket::InputAudio, audio),
            (Bucket::InputImage, image),
            (Bucket::Output, visible),
            (Bucket::Reasoning, self.reasoning),
            (Bucket::OutputAudio, self.output_audio),
            (Bucket::OutputImage, self.output_image),
        ])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names =
        Names { input: "in", input_details: "in_details", output: "out", output_details: "out_details" };

    #[test]
    fn what_is_cached_audio_is_in_one_bucket() {
        let counts =
            Inclusive { input: 100, cached: 50, cached_audio: 30, audio: 40, ..Inclusive::default() };
        let usage = counts.disjoint(NAMES).unwrap();
        let want = [
            (Bucket::Input, 40),
            (Bucket::CacheRead, 20),
            (Bucket::CacheReadAudio, 30),
            (Bucket::InputAudio, 10),
        ];
        assert_eq!(usage, Usage::new(want).unwrap());
    }

    #[test]
    fn parts_that_overlap_were_both() {
        let counts = Inclusive { input: 100, cached: 50, audio: 90, ..Inclusive::default() };
        let usage = counts.disjoint(NAMES).unwrap();
        let want = [(Bucket::CacheRead, 10), (Bucket::CacheReadAudio, 40), (Bucket::InputAudio, 50)];
        assert_eq!(usage, Usage::new(want).unwrap());
        assert_eq!(usage.tokens(), 100);
    }

    #[test]
    fn no_part_is_above_its_whole() {
        for counts in [
            Inclusive { input: 1, cached: 2, ..Inclusive::default() },
            Inclusive { input: 1, audio: 2, ..Inclusive::default() },
            Inclusive { input: 9, cached: 5, written_5m: 5, ..Inclusive::default() },
            Inclusive { output: 1, reasoning: 2, ..Inclusive::default() },
            Inclusive { input: u64::MAX, cached: u64::MAX, written_1h: u64::MAX, ..Inclusive::default() },
        ] {
            let refused = counts.disjoint(NAMES);
            assert!(matches!(refused, Err(ExtractError::PartAboveWhole { .. })), "{refused:?}");
        }
    }
}
