//! One model's prices through time, hours and tiers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::applied::{AppliedPrice, LongInput, PriceSource, Rates};
use super::error::PriceBookError;
use super::file::{ModelFile, PriceFile, RateTexts};
use super::tier;
use crate::money::UnitPrice;
use crate::usage::Bucket;

/// Checked prices, in the file's order.
type RateList = Box<[(Bucket, UnitPrice)]>;

/// A model's prices.
#[derive(Debug)]
pub(super) struct Entry {
    /// Provider and model, as records name the entry.
    name: String,
    strict: bool,
    items: Box<[Item]>,
    /// What each combination of a standard and a tier's item amounts to, made when it is first asked for.
    applied: Box<[OnceLock<Arc<AppliedPrice>>]>,
}

#[derive(Debug)]
struct Item {
    from: i64,
    hours: Option<Hours>,
    /// A bit for each day of the week, Monday's first; none set for all.
    days: u8,
    tier: Box<str>,
    rates: RateList,
    long: Box<[(u64, RateList)]>,
}

/// Minutes of the day in UTC; over midnight if the end is not after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hours {
    start: u16,
    end: u16,
}

impl Hours {
    fn parse(text: &str) -> Option<Self> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
            let (hour, minute) = (digits(hour).then_some(hour)?, digits(minute).then_some(minute)?);
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let (start, end) = text.split_once('-')?;
        Some(Self { start: minute(start)?, end: minute(end)? })
    }

    fn contains(self, minute: i64) -> bool {
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
    }
}

impl Item {
    fn holds(&self, second: i64) -> bool {
        if self.from > second {
            return false;
        }
        if self.hours.is_none() && self.days == 0 {
            return true;
        }
        let day = second.div_euclid(86_400);
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        let hours = self.hours.is_none_or(|hours| hours.contains(second.rem_euclid(86_400) / 60));
        hours && (self.days == 0 || self.days & (1 << weekday) != 0)
    }

    fn is_standard(&self) -> bool {
        self.tier.is_empty()
    }
}

impl Entry {
    /// Checks a model's prices.
    pub(super) fn new(file: &ModelFile<'_>) -> Result<Self, PriceBookError> {
        let items = file.prices.iter().map(|price| item(file, price));
        let mut items = items.collect::<Result<Box<[_]>, PriceBookError>>()?;
        // Days may come in any order. Hours stand over the days before them in the file, so those keep theirs.
        if items.iter().all(|item| item.hours.is_none() && item.days == 0) {
            items.sort_by_key(|item| item.from);
        }
        let combinations = items.len() * (items.len() + 1);
        Ok(Self {
            name: format!("{}/{}", file.provider.as_str(), file.model.as_str()),
            strict: file.strict,
            items,
            applied: std::iter::repeat_with(OnceLock::new).take(combinations).collect(),
        })
    }

    /// Its provider and model.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The prices of a tier at a time; none if they are not known.
    ///
    /// A tier without prices of its own costs what the standard one does: providers bill so where they do not
    /// offer it. The dates of a tier's prices are the days on which the source first read them, and the tiers are
    /// older than that: before the first, they hold as long as the standard prices are those of that day, as a
    /// tier is a share of the standard price. Before that they are not known.
    pub(super) fn at(
        &self,
        time: Timestamp,
        tier: &str,
        version: &str,
        inherit: bool,
    ) -> Option<&Arc<AppliedPrice>> {
        let second = time.as_second();
        let standard_at = |second| self.items.iter().rposition(|i| i.is_standard() && i.holds(second));
        let standard = standard_at(second)?;
        let of_tier = |item: &Item| tier != tier::STANDARD && *item.tier == *tier;
        let special = match self.items.iter().rposition(|i| of_tier(i) && i.holds(second)) {
            Some(at) => Some(at),
            None => {
                match self.items.iter().enumerate().filter(|(_, i)| of_tier(i)).min_by_key(|(_, i)| i.from) {
                    Some((first, item)) if standard_at(item.from) == Some(standard) => Some(first),
                    Some(_) => return None,
                    None => None,
                }
            }
        };
        let cell = standard * (self.items.len() + 1) + special.map_or(0, |at| at + 1);
        let applied = self.applied.get(cell)?;
        Some(applied.get_or_init(|| Arc::new(self.apply(standard, special, version, inherit))))
    }

    fn apply(&self, standard: usize, special: Option<usize>, version: &str, inherit: bool) -> AppliedPrice {
        let special = special.and_then(|at| self.items.get(at));
        let standard = self.items.get(standard);
        // A price of the tier replaces the standard one for long inputs, too.
        let replaced =
            |bucket: Bucket| special.is_some_and(|item| item.rates.iter().any(|(known, _)| *known == bucket));
        let kept = standard.into_iter().map(|item| (item, true)).chain(special.map(|item| (item, false)));
        let mut unit = Rates::new();
        let mut long: BTreeMap<u64, Rates> = BTreeMap::new();
        for (item, below) in kept {
            let stays = |bucket: &Bucket| !(below && replaced(*bucket));
            for (bucket, price) in item.rates.iter().filter(|(bucket, _)| stays(bucket)) {
                unit.insert(bucket.name().into(), *price);
            }
            for (above, rates) in &item.long {
                for (bucket, price) in rates.iter().filter(|(bucket, _)| stays(bucket)) {
                    long.entry(*above).or_default().insert(bucket.name().into(), *price);
                }
            }
        }
        // Of several steps only the highest passed is looked at: each holds what those before it changed.
        let mut before = Rates::new();
        for rates in long.values_mut() {
            for (bucket, price) in &before {
                rates.entry(bucket.clone()).or_insert(*price);
            }
            before = rates.clone();
        }
        AppliedPrice {
            book: version.to_owned(),
            source: PriceSource::Book,
            entry: self.name.clone(),
            tier: special.map_or_else(String::new, |item| item.tier.to_string()),
            unit,
            long: long.into_iter().map(|(above, unit)| LongInput { above, unit }).collect(),
            inherit: inherit && !self.strict,
        }
    }
}

fn item(model: &ModelFile<'_>, price: &PriceFile<'_>) -> Result<Item, PriceBookError> {
    let malformed = |what: &str, text: &str| PriceBookError::When {
        provider: model.provider.as_str().to_owned(),
        model: model.model.as_str().to_owned(),
        what: format!("{what} {text:?}"),
    };
    let from = match &price.from {
        None => i64::MIN,
        Some(text) => start(text.as_str()).ok_or_else(|| malformed("start", text.as_str()))?,
    };
    let hours = match &price.hours {
        None => None,
        Some(text) => Some(Hours::parse(text.as_str()).ok_or_else(|| malformed("hours", text.as_str()))?),
    };
    let mut days = 0;
    for day in &price.days {
        if !(1..=7).contains(day) {
            return Err(malformed("day of the week", &day.to_string()));
        }
        days |= 1 << (day - 1);
    }
    let mut list = rates(model, &price.per_million, UnitPrice::per_million)?;
    list.extend(rates(model, &price.per_unit, UnitPrice::new)?);
    let long = price.long.iter().map(|long| {
        let rates = rates(model, &long.per_million, UnitPrice::per_million)?;
        Ok((long.above, rates.into_boxed_slice()))
    });
    Ok(Item {
        from,
        hours,
        days,
        tier: price.tier.as_ref().map_or("", |tier| tier.as_str()).into(),
        rates: list.into_boxed_slice(),
        long: long.collect::<Result<_, PriceBookError>>()?,
    })
}

/// A day means its first instant in UTC.
fn start(text: &str) -> Option<i64> {
    let instant = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    instant.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

fn rates(
    model: &ModelFile<'_>,
    texts: &RateTexts<'_>,
    unit: impl Fn(rust_decimal::Decimal) -> Result<UnitPrice, crate::money::MoneyError>,
) -> Result<Vec<(Bucket, UnitPrice)>, PriceBookError> {
    let mut list = Vec::with_capacity(texts.0.len());
    for (name, text) in &texts.0 {
        let (name, text) = (name.as_str(), text.as_str());
        let named = || (model.provider.as_str().to_owned(), model.model.as_str().to_owned(), name.to_owned());
        let Some(bucket) = Bucket::from_name(name) else {
            let (provider, model, bucket) = named();
            return Err(PriceBookError::Bucket { provider, model, bucket });
        };
        let price = crate::money::decimal(text).and_then(&unit).map_err(|error| {
            let (provider, model, bucket) = named();
            PriceBookError::Price { provider, model, bucket, error }
        })?;
        list.push((bucket, price));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;

    fn entry(prices: &str) -> Entry {
        let model = format!(r#"{{"provider":"p","model":"m","prices":[{prices}]}}"#);
        Entry::new(&serde_json::from_str(&model).unwrap()).unwrap()
    }

    /// What a million input tokens cost; none if the price is unknown.
    fn million(entry: &Entry, time: &str, tier: &str) -> Option<String> {
        let usage = Usage::new([(Bucket::Input, 1_000_000)]).unwrap();
        let price = entry.at(time.parse().unwrap(), tier, "v", true)?;
        Some(price.cost(&usage)?.to_string())
    }

    #[test]
    fn hours_and_days_are_those_of_utc() {
        let entry = entry(
            r#"{"per_million":{"input":"1"}},
               {"hours":"16:30-00:30","per_million":{"input":"2"}},
               {"days":[6,7],"per_million":{"input":"3"}}"#,
        );
        for (time, wanted) in [
            // A Tuesday.
            ("2026-11-24T16:29:59Z", "1"),
            ("2026-11-24T16:30:00Z", "2"),
            ("2026-11-25T00:29:59Z", "2"),
            ("2026-11-25T00:30:00Z", "1"),
            ("2026-11-24T18:30:00+02:00", "2"),
            ("2026-11-28T00:00:00Z", "3"),
            ("2026-11-29T23:59:59Z", "3"),
            ("2026-11-30T00:30:00Z", "1"),
            ("1969-12-27T12:00:00Z", "3"),
        ] {
            assert_eq!(million(&entry, time, "").as_deref(), Some(wanted), "{time}");
        }
    }

    #[test]
    fn a_tier_holds_before_its_first_day_while_the_standard_price_is_the_same() {
        let entry = entry(
            r#"{"per_million":{"input":"10"}},
               {"from":"2026-07-01","per_million":{"input":"4"}},
               {"tier":"batch","from":"2026-10-14","per_million":{"input":"2"}},
               {"tier":"batch","from":"2026-11-01","per_million":{"input":"1"}}"#,
        );
        for (time, tier, wanted) in [
            ("2026-11-01T00:00:00Z", "batch", Some("1")),
            ("2026-10-14T00:00:00Z", "batch", Some("2")),
            ("2026-08-01T00:00:00Z", "batch", Some("2")),
            ("2026-06-30T23:59:59Z", "batch", None),
            ("2026-06-30T23:59:59Z", "", Some("10")),
            ("2026-08-01T00:00:00Z", "flex", Some("4")),
        ] {
            assert_eq!(million(&entry, time, tier).as_deref(), wanted, "{time} {tier}");
        }
        let time = "2026-11-01T00:00:00Z".parse().unwrap();
        let tier = |tier| entry.at(time, tier, "v", true).unwrap().tier.clone();
        assert_eq!((tier("batch"), tier("flex")), ("batch".to_owned(), String::new()));
    }

    #[test]
    fn the_step_that_the_whole_input_passes_holds_for_all_of_it() {
        let entry = entry(
            r#"{"per_million":{"input":"1","output":"2","cache_read":"0.5"},
                "long":[{"above":100,"per_million":{"input":"10","output":"20"}},
                        {"above":200,"per_million":{"input":"100"}}]},
               {"tier":"flex","per_million":{"output":"7"}}"#,
        );
        let cost = |tier: &str, counts: &[(Bucket, u64)]| {
            let usage = Usage::new(counts.iter().copied()).unwrap();
            let at = "2026-11-24T00:00:00Z".parse().unwrap();
            entry.at(at, tier, "v", true).unwrap().cost(&usage).unwrap().to_string()
        };
        assert_eq!(cost("", &[(Bucket::Input, 100), (Bucket::Output, 10)]), "0.00012");
        assert_eq!(cost("", &[(Bucket::Input, 101), (Bucket::Output, 10)]), "0.00121");
        // What the second step does not name stays as in the first; cached input counts towards its length.
        assert_eq!(
            cost("", &[(Bucket::Input, 101), (Bucket::CacheRead, 100), (Bucket::Output, 10)]),
            "0.01035"
        );
        assert_eq!(cost("flex", &[(Bucket::Input, 101), (Bucket::Output, 10)]), "0.00108");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (price, wanted) in [
            (r#"{"from":"yesterday","per_million":{}}"#, "start"),
            (r#"{"hours":"24:00-01:00","per_million":{}}"#, "hours"),
            (r#"{"days":[8],"per_million":{}}"#, "day of the week"),
            (r#"{"per_million":{"inputs":"1"}}"#, "inputs"),
            (r#"{"per_million":{"input":"1e3"}}"#, "1e3"),
            (r#"{"per_million":{"input":"-1"}}"#, "negative"),
        ] {
            let model = format!(r#"{{"provider":"p","model":"m","prices":[{price}]}}"#);
            let error = Entry::new(&serde_json::from_str(&model).unwrap()).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains("p/m"), "{error}");
        }
    }
}
