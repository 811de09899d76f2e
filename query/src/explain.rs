//! One call, and the arithmetic of its cost: what was counted, at which price, and what that comes to.
//!
//! The lines add up to the cost that is stored, to the last digit. Where no price is known, they say what lacks.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::id::{AgentId, EventId, OwnId, TeamId};
use shared::ledger::RecordStore;
use shared::money::{UnitPrice, Usd, UsdSum};
use shared::price::{AppliedPrice, PriceSource};
use shared::record::{Content, Effective, Record};
use shared::repricing::Priced;
use shared::usage::{Bucket, Usage};

use crate::error::QueryError;
use crate::events::EventLine;

/// How the cost of one call was worked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The call, as it counts now.
    pub event: EventLine,
    /// What was counted, at which price; nothing if it was voided.
    pub lines: Vec<CostLine>,
    /// Of tokens; null where the cost is unknown.
    pub token_cost_usd: Option<Usd>,
    /// Of everything else: searches, requests, pages.
    pub fees_usd: Option<Usd>,
    /// Both.
    pub cost_usd: Option<Usd>,
    /// The price that applies, or the nearest to it; null where there is none.
    pub price: Option<PriceShown>,
    /// Why the cost is unknown; null where it is known, or nothing counts.
    pub unpriced: Option<Unknown>,
    /// What the same counts would cost by the prices that it had before, the first ones first.
    pub earlier: Vec<EarlierPrice>,
    /// The repricing that gave it the price that applies; null where it has its first one.
    pub repriced_by: Option<RepricedBy>,
    /// Ours less the provider's own figure; null where one of them is unknown.
    pub difference_usd: Option<UsdSum>,
}

/// One line of the arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostLine {
    /// The name of what was counted.
    pub bucket: String,
    /// Whether it is tokens; if not, it is a fee.
    pub tokens: bool,
    /// How many.
    pub count: u64,
    /// US dollars for one; null where there is no price.
    pub unit_price_usd: Option<UnitPrice>,
    /// US dollars for all of them; null where that is unknown.
    pub amount_usd: Option<Usd>,
}

/// A price, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceShown {
    /// Version of the price book.
    pub book: String,
    /// Where in it.
    pub source: PriceSource,
    /// The entry's provider and model; empty for the fallback.
    pub entry: String,
    /// The processing tier, such as `batch`; `standard` where no other is.
    pub tier: String,
    /// The input was longer than so many tokens, and prices of long inputs apply; null where they do not.
    pub long_input_above: Option<u64>,
}

/// Why a cost is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unknown {
    /// Which class.
    pub reason: UnknownReason,
    /// What was counted and has no price.
    pub buckets: Vec<String>,
    /// In words, with what to do.
    pub advice: String,
}

/// Classes of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The call states no model.
    NoModel,
    /// There is no price for this model, from this provider, in this tier, at this time.
    NoEntry,
    /// The price has none for something that was counted.
    NoBucket,
    /// The counts are so large that they come to no amount of money.
    NoAmount,
}

/// Prices that a call had before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierPrice {
    /// The repricing that gave it; null for its first price.
    pub by: Option<RepricedBy>,
    /// The price; null where none applied.
    pub price: Option<PriceShown>,
    /// What the counts that hold come to; null where that is unknown.
    pub cost_usd: Option<Usd>,
}

/// A repricing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepricedBy {
    /// Its run.
    pub run: OwnId,
    /// When.
    #[schemars(with = "shared::schema::Instant")]
    pub at: Timestamp,
    /// Version of its book.
    pub book: String,
}

/// Explains one call. `team` is the only one whose calls may be seen, if there is one.
pub async fn explain<L: RecordStore>(
    ledger: &L,
    agent: &AgentId,
    event: &EventId,
    team: Option<&TeamId>,
) -> Result<Explanation, QueryError> {
    let key = (agent.clone(), event.record());
    let found = ledger.get(std::slice::from_ref(&key)).await?.into_iter().flatten().next();
    let missing = |why: &str| QueryError::NoSuchEvent(format!("{agent} has no event {event}{why}"));
    let Some(record) = found else {
        return Err(missing("; `agentledger events` lists what there is"));
    };
    let effective = record.data.effective().find(|effective| effective.index == event.index());
    let seen = |effective: &Effective<'_>| team.is_none() || effective.event.team_id.as_ref() == team;
    match effective {
        Some(effective) if seen(&effective) => Ok(of(&record, &effective)),
        None if team.is_none() => Err(missing(match &record.data.content {
            Content::Awaited => " yet: corrections of it came first, and wait",
            _ => " that is a model call, so nothing of it costs",
        })),
        _ => Err(missing("; `agentledger events` lists what there is")),
    }
}

fn of(record: &Record, effective: &Effective<'_>) -> Explanation {
    let event = EventLine::new(record, effective);
    let usage = effective.usage.unwrap_or_default();
    let mut history = record.data.price_history(effective.index, &usage);
    let last = history.pop();
    let candidates = record.data.candidates(effective.index);
    // Where none applies, the first is the one of the model: what it lacks is what to mend.
    let price = effective.price.or_else(|| candidates.first().copied());
    let lines = lines(&usage, price);
    let parts = effective.price.and_then(|price| price.cost_parts(&usage));
    let unknown = effective.usage.is_some() && effective.cost.is_none();
    let reported = effective.event.reported_cost_usd.map(UsdSum::from);
    let ours = effective.cost.map(UsdSum::from);
    let by = |priced: &Priced<'_>| {
        priced.adjustment.map(|adjustment| RepricedBy {
            run: adjustment.run.clone(),
            at: adjustment.at,
            book: adjustment.book.clone(),
        })
    };
    Explanation {
        unpriced: unknown.then(|| why(effective, &lines, price.is_some())),
        lines,
        token_cost_usd: parts.map(|parts| parts.tokens),
        fees_usd: parts.map(|parts| parts.fees),
        cost_usd: effective.cost,
        price: price.map(|price| shown(price, &usage)),
        earlier: history
            .iter()
            .map(|priced| EarlierPrice {
                by: by(priced),
                price: priced.price.map(|price| shown(price, &usage)),
                cost_usd: effective.usage.and(priced.cost),
            })
            .collect(),
        repriced_by: last.as_ref().and_then(by),
        difference_usd: ours.zip(reported).and_then(|(ours, theirs)| ours.checked_add(theirs.negated())),
        event,
    }
}

fn lines(usage: &Usage, price: Option<&AppliedPrice>) -> Vec<CostLine> {
    let line = |(bucket, count): (Bucket, u64)| {
        let unit_price_usd = price.and_then(|price| price.rate(bucket, usage));
        CostLine {
            bucket: bucket.name().to_owned(),
            tokens: bucket.is_token(),
            count,
            unit_price_usd,
            amount_usd: unit_price_usd.and_then(|unit| unit.times(count).ok()),
        }
    };
    usage.iter().map(line).collect()
}

fn shown(price: &AppliedPrice, usage: &Usage) -> PriceShown {
    let tier = if price.tier.is_empty() { "standard" } else { &price.tier };
    PriceShown {
        book: price.book.clone(),
        source: price.source,
        entry: price.entry.clone(),
        tier: tier.to_owned(),
        long_input_above: price.long_input(usage).map(|long| long.above),
    }
}

fn why(effective: &Effective<'_>, lines: &[CostLine], has_price: bool) -> Unknown {
    let lacking: Vec<String> =
        lines.iter().filter(|l| l.unit_price_usd.is_none()).map(|l| l.bucket.clone()).collect();
    let event = effective.event;
    let named = |name: Option<&str>, none: &str| name.map_or_else(|| none.to_owned(), |n| format!("{n:?}"));
    let provider = named(event.provider.as_ref().map(shared::id::ProviderId::as_str), "that is not stated");
    let second = |after: i64| {
        let at = Timestamp::from_second(event.time.as_second().saturating_add(after));
        at.map_or_else(|_| "T".to_owned(), |at| at.to_string())
    };
    let again = format!(
        "then look at `agentledger reprice --unpriced --from {} --to {}`, or at a wider range, and book it with --apply",
        second(0),
        second(1)
    );
    let (reason, buckets, advice) = match &event.model {
        None => {
            let advice = "the call states no model: have its sender state it next time; for this one, set `[prices] fallback_usd_per_token`; ";
            (UnknownReason::NoModel, lacking, format!("{advice}{again}"))
        }
        Some(model) if !has_price => {
            let tier =
                event.service_tier.as_deref().map(|tier| format!(", tier {tier:?}")).unwrap_or_default();
            let what = format!("model {:?} of the provider {provider}{tier}", model.as_str());
            let advice = format!(
                "no price was known for {what} at {}: add one to the price book, or set `[prices] \
                 fallback_usd_per_token`; {again}",
                event.time
            );
            (UnknownReason::NoEntry, lacking, advice)
        }
        Some(_) if !lacking.is_empty() => {
            let advice =
                format!("the price of this model has none for {}: add it; {again}", lacking.join(", "));
            (UnknownReason::NoBucket, lacking, advice)
        }
        Some(_) => {
            let advice = "what the counts come to is no amount of money: amend the call if they are wrong";
            (UnknownReason::NoAmount, lacking, advice.to_owned())
        }
    };
    Unknown { reason, buckets, advice }
}
