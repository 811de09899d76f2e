//! Token counts in disjoint buckets.
//!
//! No token is in two buckets, so that their sum is the provider's total. Extractors translate each
//! provider's own overlapping fields into these.

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;
use std::fmt;

/// The largest count of one bucket of one event: beyond 2^53 a JSON number is not exact everywhere.
pub const MAX_COUNT: u64 = 1 << 53;

macro_rules! buckets {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, token: $token:literal;)*) => {
        /// What a count counts. The names are part of the outside interface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bucket { $($(#[$doc])* $variant,)* }

        impl Bucket {
            /// Every bucket, in the order of the interface.
            pub const ALL: [Bucket; [$($name),*].len()] = [$(Bucket::$variant),*];

            /// Its name in JSON.
            pub fn name(self) -> &'static str {
                match self { $(Bucket::$variant => $name,)* }
            }

            /// Whether it counts tokens; other units never enter a sum of tokens.
            pub fn is_token(self) -> bool {
                match self { $(Bucket::$variant => $token,)* }
            }

            /// The bucket of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Bucket::$variant),)* _ => None }
            }
        }
    };
}

buckets! {
    /// Uncached text input.
    Input = "input", token: true;
    /// Input read from a prompt cache.
    CacheRead = "cache_read", token: true;
    /// Audio input read from a prompt cache, where the provider counts it apart.
    CacheReadAudio = "cache_read_audio", token: true;
    /// Image input read from a prompt cache, where the provider counts it apart.
    CacheReadImage = "cache_read_image", token: true;
    /// Input written to a five-minute prompt cache.
    CacheWrite5m = "cache_write_5m", token: true;
    /// Input written to a one-hour prompt cache.
    CacheWrite1h = "cache_write_1h", token: true;
    /// Audio input.
    InputAudio = "input_audio", token: true;
    /// Image and video input, where the provider counts it apart.
    InputImage = "input_image", token: true;
    /// Visible output.
    Output = "output", token: true;
    /// Output spent on reasoning.
    Reasoning = "reasoning", token: true;
    /// Audio output.
    OutputAudio = "output_audio", token: true;
    /// Image output.
    OutputImage = "output_image", token: true;
    /// A total whose split is unknown.
    Unsplit = "unsplit", token: true;
    /// Requests, where a provider charges for each.
    Requests = "requests", token: false;
    /// Web searches that the provider ran.
    WebSearches = "web_searches", token: false;
    /// Web searches with a small search context, where the provider charges by its size.
    WebSearchesLow = "web_searches_low", token: false;
    /// Web searches with a medium search context.
    WebSearchesMedium = "web_searches_medium", token: false;
    /// Web searches with a large search context.
    WebSearchesHigh = "web_searches_high", token: false;
    /// Searches in stored files that the provider ran.
    FileSearches = "file_searches", token: false;
    /// Search units of a reranking: one query with up to so many documents as its provider states.
    RerankSearches = "rerank_searches", token: false;
    /// Pages that were read, as by OCR.
    Pages = "pages", token: false;
    /// Images that were made, where the provider charges for each.
    Images = "images", token: false;
    /// Seconds of audio that were heard, each begun one counting.
    AudioSeconds = "audio_seconds", token: false;
    /// Milliseconds of computing time, where the provider charges for time.
    ComputeMs = "compute_ms", token: false;
}

/// The number of buckets.
pub const BUCKETS: usize = Bucket::ALL.len();

/// One event's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage([u64; BUCKETS]);

/// Why counts are not a usage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A count beyond [`MAX_COUNT`].
    #[error("`{bucket}` is {count}, above 2^53", bucket = .bucket.name())]
    TooLarge {
        /// Which.
        bucket: Bucket,
        /// What it was.
        count: u64,
    },
    /// The buckets do not add up to the total that came with them.
    #[error("the buckets sum to {sum} tokens, but total_tokens is {total}")]
    NotConserved {
        /// Sum of the token buckets.
        sum: u64,
        /// The stated total.
        total: u64,
    },
}

impl Usage {
    /// The counts of these buckets; a bucket that comes twice is added up.
    pub fn new(counts: impl IntoIterator<Item = (Bucket, u64)>) -> Result<Self, UsageError> {
        let mut usage = Self::default();
        for (bucket, count) in counts {
            usage.add(bucket, count)?;
        }
        Ok(usage)
    }

    fn add(&mut self, bucket: Bucket, count: u64) -> Result<(), UsageError> {
        let slot = &mut self.0[bucket as usize];
        *slot = slot.saturating_add(count);
        if *slot > MAX_COUNT { Err(UsageError::TooLarge { bucket, count: *slot }) } else { Ok(()) }
    }

    /// One bucket's count.
    pub fn get(&self, bucket: Bucket) -> u64 {
        self.0[bucket as usize]
    }

    /// The counts that are not zero, in the order of the interface.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, u64)> + '_ {
        Bucket::ALL.into_iter().map(|b| (b, self.get(b))).filter(|(_, n)| *n > 0)
    }

    /// Tokens in all, without the units that are not tokens. Cannot overflow: 13 buckets of 2^53.
    pub fn tokens(&self) -> u64 {
        Bucket::ALL.into_iter().filter(|b| b.is_token()).map(|b| self.get(b)).sum()
    }

    fn sum(&self, buckets: &[Bucket]) -> u64 {
        buckets.iter().map(|b| self.get(*b)).sum()
    }

    /// All input tokens: plain, cached and written to a cache, of whatever modality.
    pub fn input_tokens(&self) -> u64 {
        self.sum(&[Bucket::Input, Bucket::InputAudio, Bucket::InputImage])
            + self.cache_read_tokens()
            + self.cache_write_tokens()
    }

    /// All tokens read from a cache, of whatever modality.
    pub fn cache_read_tokens(&self) -> u64 {
        self.sum(&[Bucket::CacheRead, Bucket::CacheReadAudio, Bucket::CacheReadImage])
    }

    /// All tokens written to a cache, of whatever lifetime.
    pub fn cache_write_tokens(&self) -> u64 {
        self.sum(&[Bucket::CacheWrite5m, Bucket::CacheWrite1h])
    }

    /// All output tokens, reasoning too, of whatever modality.
    pub fn output_tokens(&self) -> u64 {
        self.sum(&[Bucket::Output, Bucket::Reasoning, Bucket::OutputAudio, Bucket::OutputImage])
    }

    /// Conservation: the disjoint buckets add up to the provider's own total.
    pub fn check_total(&self, total: u64) -> Result<(), UsageError> {
        let sum = self.tokens();
        if sum == total { Ok(()) } else { Err(UsageError::NotConserved { sum, total }) }
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (bucket, count) in self.iter() {
            map.serialize_entry(bucket.name(), &count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bucket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Bucket;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a bucket")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Bucket, E> {
                Bucket::from_name(name).ok_or_else(|| E::custom(format_args!("unknown bucket `{name}`")))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(FewCounts::deserialize(deserializer)?.usage())
    }
}

/// A [`Usage`] without room for what is not used: mostly four counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct FewCounts(SmallVec<[(Bucket, u64); 4]>);

impl FewCounts {
    /// The counts.
    pub(crate) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for (bucket, count) in &self.0 {
            usage.0[*bucket as usize] = *count;
        }
        usage
    }
}

impl FromIterator<(Bucket, u64)> for FewCounts {
    /// Of a [`Usage`], in which no bucket comes twice.
    fn from_iter<I: IntoIterator<Item = (Bucket, u64)>>(counts: I) -> Self {
        Self(counts.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for FewCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = FewCounts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of bucket names and counts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FewCounts, A::Error> {
                let mut counts = FewCounts::default();
                while let Some((bucket, count)) = map.next_entry::<Bucket, u64>()? {
                    // One that comes twice is added up.
                    let place = counts.0.iter_mut().find(|(known, _)| *known == bucket);
                    let sum = place.as_ref().map_or(0, |(_, sum)| *sum).saturating_add(count);
                    if sum > MAX_COUNT {
                        return Err(de::Error::custom(UsageError::TooLarge { bucket, count: sum }));
                    }
                    match place {
                        Some((_, known)) => *known = sum,
                        None => counts.0.push((bucket, sum)),
                    }
                }
                Ok(counts)
            }
        }
        deserializer.deserialize_map(Counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_leave_out_other_units() {
        let usage =
            Usage::new([(Bucket::Input, 3), (Bucket::Reasoning, 4), (Bucket::WebSearches, 9)]).unwrap();
        assert_eq!(usage.tokens(), 7);
        assert!(usage.check_total(7).is_ok());
        assert_eq!(usage.check_total(8), Err(UsageError::NotConserved { sum: 7, total: 8 }));
    }

    #[test]
    fn the_largest_usage_sums_without_overflow() {
        let usage = Usage::new(Bucket::ALL.map(|b| (b, MAX_COUNT))).unwrap();
        assert_eq!(usage.tokens(), 13 * MAX_COUNT);
        assert!(Usage::new([(Bucket::Input, MAX_COUNT + 1)]).is_err());
        assert!(Usage::new([(Bucket::Input, u64::MAX), (Bucket::Input, u64::MAX)]).is_err());
    }

    #[test]
    fn json_names_only_what_is_there() {
        let usage: Usage = serde_json::from_str(r#"{"cache_read":5,"input":2}"#).unwrap();
        assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"input":2,"cache_read":5}"#);
        assert!(serde_json::from_str::<Usage>(r#"{"inputs":2}"#).is_err());
    }
}
