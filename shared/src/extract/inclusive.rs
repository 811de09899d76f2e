//! From counts that contain their parts, as most providers state them, to buckets that are disjoint.

use super::family::Counted;
use super::{ExtractError, Stated};
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
    ///
    /// A part that is larger than its whole by itself is a contradiction. Providers bill the whole, so no more of
    /// the part is counted than that; a call is not lost for it.
    pub(super) fn disjoint(mut self, names: Names) -> Result<Counted, ExtractError> {
        let above = |part, whole| ExtractError::PartAboveWhole { part, whole };
        let no_input = || above(names.input_details, names.input);
        let no_output = || above(names.output_details, names.output);
        let (stated, contradiction) = self.limit(names);
        let cached_audio = self.cached_audio.min(self.audio);
        let cached_image = self.cached_image.min(self.image);
        let (mut audio, mut image) = (self.audio - cached_audio, self.image - cached_image);
        let rest = self.cached.checked_sub(cached_audio.saturating_add(cached_image)).ok_or_else(no_input)?;
        let mut cached = [rest, cached_audio, cached_image];
        let written = self.written_5m.saturating_add(self.written_1h);
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
        let usage = Usage::new([
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
        ])?;
        Ok(Counted { usage, contradiction, stated, ..Counted::default() })
    }

    /// Limits each part to what its whole has left for it; answers what was stated, and what is wrong with it.
    fn limit(&mut self, names: Names) -> (Stated, Option<ExtractError>) {
        let given = *self;
        let within = |parts: &mut [&mut u64], whole: u64| {
            let mut left = whole;
            for part in parts {
                **part = (**part).min(left);
                left -= **part;
            }
        };
        within(&mut [&mut self.cached, &mut self.written_5m, &mut self.written_1h], self.input);
        within(&mut [&mut self.audio, &mut self.image], self.input);
        within(&mut [&mut self.cached_audio, &mut self.cached_image], self.cached);
        within(&mut [&mut self.reasoning, &mut self.output_audio, &mut self.output_image], self.output);
        let of = |now: u64, given: u64| (now != given).then_some(given);
        let stated = Stated {
            cache_read: of(self.cached, given.cached),
            reasoning: of(self.reasoning, given.reasoning),
            ..Stated::default()
        };
        let input = |of: &Self| {
            [of.cached, of.written_5m, of.written_1h, of.audio, of.image, of.cached_audio, of.cached_image]
        };
        let output = |of: &Self| [of.reasoning, of.output_audio, of.output_image];
        let above = |part, whole| Some(ExtractError::PartAboveWhole { part, whole });
        let contradiction = if input(self) != input(&given) {
            above(names.input_details, names.input)
        } else if output(self) != output(&given) {
            above(names.output_details, names.output)
        } else {
            None
        };
        (stated, contradiction)
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
        let usage = counts.disjoint(NAMES).unwrap().usage;
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
        let usage = counts.disjoint(NAMES).unwrap().usage;
        let want = [(Bucket::CacheRead, 10), (Bucket::CacheReadAudio, 40), (Bucket::InputAudio, 50)];
        assert_eq!(usage, Usage::new(want).unwrap());
        assert_eq!(usage.tokens(), 100);
    }

    #[test]
    fn of_a_part_above_its_whole_as_much_counts_as_the_whole_holds() {
        for counts in [
            Inclusive { input: 1, cached: 2, ..Inclusive::default() },
            Inclusive { input: 1, audio: 2, ..Inclusive::default() },
            Inclusive { input: 9, cached: 5, written_5m: 5, ..Inclusive::default() },
            Inclusive { output: 1, reasoning: 2, ..Inclusive::default() },
            Inclusive { input: u64::MAX, cached: u64::MAX, written_1h: u64::MAX, ..Inclusive::default() },
        ] {
            let counted = counts.disjoint(NAMES);
            if counts.input == u64::MAX {
                assert!(matches!(counted, Err(ExtractError::Usage(_))), "{counted:?}");
                continue;
            }
            let counted = counted.unwrap();
            assert!(
                matches!(counted.contradiction, Some(ExtractError::PartAboveWhole { .. })),
                "{counted:?}"
            );
            assert_eq!(counted.usage.tokens(), counts.input + counts.output);
        }
    }
}
