//! An alert in words, for a person in finance: who, how much of what, since when, and who spent most of it.

use std::fmt;

use jiff::Timestamp;

use super::{Alert, AlertKind, MAX_MODELS, UnpricedOf};
use crate::budget::{BudgetScope, UnpricedPolicy};
use crate::money::UsdSum;

/// [`Alert`] in words.
pub struct AlertText<'a>(pub(super) &'a Alert);

impl fmt::Display for AlertText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alert = self.0;
        let rules = alert.timezone.rules();
        let local =
            |at: Timestamp| at.to_zoned_datetime(rules.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let (from, to) = (local(alert.period_start), local(alert.period_end));
        let when = format!("the {} from {from} to {to} ({} time)", alert.period, alert.timezone.name());
        match alert.kind {
            AlertKind::Threshold | AlertKind::Recovered => of_budget(alert, &when, f)?,
            AlertKind::Unpriced | AlertKind::Priced => of_unpriced(alert, &when, f)?,
        }
        if alert.late {
            f.write_str(" This period is over: a late event or a correction was booked into it.")?;
        }
        let assumed = alert.unpriced.as_ref().is_some_and(|unpriced| unpriced.assumed_usd.is_some());
        if alert.limit_usd.is_some() && alert.unpriced_tokens > 0 && !assumed {
            let unpriced = Grouped(alert.unpriced_tokens);
            write!(f, " Not included: {unpriced} tokens whose price is unknown.")?;
        }
        let in_dollars = alert.limit_tokens.is_none() && alert.kind != AlertKind::Unpriced;
        for (n, part) in alert.top.iter().enumerate() {
            let name = if part.name.is_empty() { "(not stated)" } else { &part.name };
            f.write_str(if n == 0 { " Most of it: " } else { ", " })?;
            match part.spend_usd {
                Some(usd) if in_dollars => {
                    write!(f, "{} {name} {}", part.dimension, Dollars(usd))?;
                }
                _ => write!(f, "{} {name} {} tokens", part.dimension, Grouped(part.tokens))?,
            }
        }
        if !alert.top.is_empty() {
            f.write_str(".")?;
        }
        if alert.kind == AlertKind::Unpriced {
            f.write_str(" `agentledger unpriced` lists it, and says how it gets a price.")?;
        }
        write!(f, " Alert id: {}", alert.id)
    }
}

fn of_budget(alert: &Alert, when: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let who = match &alert.scope {
        BudgetScope::Org => "the whole organisation".to_owned(),
        BudgetScope::Team(name) => format!("team {name}"),
        BudgetScope::Agent(name) => format!("agent {name}"),
        BudgetScope::Task(name) => format!("task {name}"),
        BudgetScope::Model(name) => format!("model {name}"),
    };
    let unpriced = alert.unpriced.as_ref();
    let assumed = unpriced.and_then(|unpriced| {
        let UnpricedPolicy::Assume(price) = unpriced.policy else { return None };
        let tokens = Grouped(alert.unpriced_tokens);
        let price = price.as_decimal();
        Some(format!(
            "{} assumed for {tokens} tokens whose price is unknown (${price} each)",
            Dollars(unpriced.assumed_usd?)
        ))
    });
    let spent = match (alert.limit_usd, alert.limit_tokens, alert.spend_usd) {
        (Some(limit), _, spend) => {
            let limit = Dollars(limit.into());
            match (spend, assumed) {
                (Some(spend), None) => format!("{} of {limit}", Dollars(spend)),
                (Some(spend), Some(assumed)) => format!("{}, and {assumed}, of {limit}", Dollars(spend)),
                (None, Some(assumed)) => format!("{assumed} of {limit}"),
                (None, None) => format!("an unknown part of {limit}"),
            }
        }
        (None, limit, _) => {
            let limit = limit.map(|limit| format!(" of {}", Grouped(i128::from(limit))));
            format!("{}{} tokens", Grouped(alert.spend_tokens), limit.unwrap_or_default())
        }
    };
    let (budget, percent) = (&alert.budget, alert.threshold_percent);
    match (alert.kind, unpriced.filter(|unpriced| unpriced.blocked)) {
        (AlertKind::Recovered, _) => {
            write!(f, "Budget {budget}: back below {percent}% after a correction or other prices.")?;
        }
        (_, None) => write!(f, "Budget {budget}: {percent}% reached.")?,
        (_, Some(blocked)) => {
            let calls = Calls(blocked.events);
            write!(f, "Budget {budget}: {percent}% counts as reached, as {calls} without a price block it.")?;
        }
    }
    write!(f, " Spent by {who}: {spent} in {when}.")
}

fn of_unpriced(alert: &Alert, when: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let unpriced = alert.unpriced.as_ref();
    let what = match unpriced.and_then(|unpriced| unpriced.of.as_ref()) {
        Some(UnpricedOf::Model(model)) => format!("model {model}"),
        Some(UnpricedOf::NotStated) => "calls that name no model".to_owned(),
        Some(UnpricedOf::Others) | None => format!("models beyond the first {MAX_MODELS} of the month"),
    };
    if alert.kind == AlertKind::Priced {
        let cost = Dollars(alert.spend_usd.unwrap_or(UsdSum::ZERO));
        return write!(f, "Nothing is left without a price of {what}. It cost {cost} in {when}.");
    }
    let (tokens, calls) = (Grouped(alert.unpriced_tokens), Calls(unpriced.map_or(0, |u| u.events)));
    write!(f, "No price for {what}: so far, {tokens} tokens of {calls} are not in the cost of {when}.")
}

/// A number of calls.
struct Calls(i64);

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} call{}", Grouped(self.0.into()), if self.0 == 1 { "" } else { "s" })
    }
}

/// Dollars with cents, and with every further digit that there is.
struct Dollars(UsdSum);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_string();
        let (sign, digits) = exact.strip_prefix('-').map_or(("", exact.as_str()), |digits| ("-", digits));
        let (whole, cents) = digits.split_once('.').unwrap_or((digits, ""));
        let whole = whole.parse().unwrap_or_default();
        write!(f, "{sign}${}.{cents:0<2}", Grouped(whole))
    }
}

/// A whole number with commas between its thousands.
struct Grouped(i128);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        for (n, digit) in digits.char_indices() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertState, Contributor};
    use crate::budget::{Budget, BudgetForm};
    use crate::totals::Totals;
    use crate::usage::{Bucket, Usage};

    fn budget(limit_usd: Option<&str>, limit_tokens: Option<u64>) -> Budget {
        let form = BudgetForm {
            scope: "team:growth".to_owned(),
            limit_usd: limit_usd.map(str::to_owned),
            limit_tokens,
            period: "day".to_owned(),
            timezone: Some("Asia/Kathmandu".to_owned()),
            thresholds: Some(vec![50, 80, 100]),
            unpriced: None,
        };
        let since = Timestamp::UNIX_EPOCH;
        Budget { spec: form.spec("daily").unwrap(), version: 1, since }
    }

    fn texts(budget: &Budget, before: &Totals, after: &Totals, at: &str) -> Vec<String> {
        let at = at.parse().unwrap();
        let (state, _) = AlertState::default().advance(budget, before, Timestamp::UNIX_EPOCH);
        let (_, transitions) = state.advance(budget, after, at);
        let spec = &budget.spec;
        let period = spec.period.containing("2026-11-24T12:00:00Z".parse().unwrap(), &spec.timezone);
        let top = vec![
            Contributor {
                dimension: "agent".to_owned(),
                name: "researcher-7".to_owned(),
                spend_usd: Some("4200.5".parse().unwrap()),
                tokens: 1_234_567,
            },
            Contributor { dimension: "agent".to_owned(), name: String::new(), spend_usd: None, tokens: 12 },
        ];
        let text = |t| Alert::new(budget, period, t, after, top.clone()).text().to_string();
        transitions.into_iter().map(text).collect()
    }

    fn spent(usd: &str, unpriced: u64) -> Totals {
        let one = Usage::new([(Bucket::Input, 1_234_567)]).unwrap();
        let mut totals = Totals::of_call(&one, Some(usd.parse().unwrap()));
        if unpriced > 0 {
            totals.add(&Totals::of_call(&Usage::new([(Bucket::Unsplit, unpriced)]).unwrap(), None)).unwrap();
        }
        totals
    }

    #[test]
    fn crossings_are_told_upwards_with_what_finance_asks_for() {
        let told = texts(
            &budget(Some("10000"), None),
            &Totals::default(),
            &spent("8000.0005", 1500),
            "2026-11-24T12:00:00Z",
        );
        assert_eq!(
            told,
            [50, 80].map(|percent| format!(
                "Budget daily: {percent}% reached. Spent by team growth: $8,000.0005 of $10,000.00 in the day from \
                 2026-11-24 00:00 to 2026-11-25 00:00 (Asia/Kathmandu time). Not included: 1,500 tokens whose price \
                 is unknown. Most of it: agent researcher-7 $4,200.50, agent (not stated) 12 tokens. Alert id: \
                 daily.v1.20261123T181500Z.{percent}.1"
            ))
        );
    }

    #[test]
    fn recoveries_are_told_downwards_and_nothing_left_is_zero() {
        let told = texts(
            &budget(Some("10000"), None),
            &spent("8000", 0),
            &Totals::default(),
            "2026-11-26T00:00:00Z",
        );
        let start = |text: &String| text.split(" Most of it").next().unwrap().to_owned();
        assert_eq!(
            told.iter().map(start).collect::<Vec<_>>(),
            [80, 50].map(|percent| format!(
                "Budget daily: back below {percent}% after a correction or other prices. Spent by team growth: $0.00 of $10,000.00 in \
                 the day from 2026-11-24 00:00 to 2026-11-25 00:00 (Asia/Kathmandu time). This period is over: a late \
                 event or a correction was booked into it."
            ))
        );
    }

    #[test]
    fn budgets_in_tokens_speak_of_tokens() {
        let told =
            texts(&budget(None, Some(1_000_000)), &Totals::default(), &spent("1", 0), "2026-11-24T12:00:00Z");
        assert_eq!(told.len(), 3);
        assert!(
            told[2].contains("100% reached. Spent by team growth: 1,234,567 of 1,000,000 tokens in the day"),
            "{told:?}"
        );
        assert!(told[2].contains("agent researcher-7 1,234,567 tokens"), "{told:?}");
    }
}
