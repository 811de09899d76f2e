//! What the day came to, and whether it is what the agents sent.

use anyhow::{Context, ensure};
use query::{AlertReport, SpendReport};
use shared::money::UsdSum;
use shared::totals::Totals;

use super::cast::everybody;
use super::scenario::{Kind, Scenario};
use crate::cli::{ByArg, Format};
use crate::commands::{read, read_pages, spend_grid};
use crate::figures::{dollars, grouped, units};
use crate::output::{print, say};
use crate::source::Source;

/// A line on how far it is.
pub(super) fn progress(source: &Source) -> anyhow::Result<String> {
    let report: SpendReport = read(&source.get("/v1/spend", &params("team"))?)?;
    let total = &report.total;
    let cost = total.cost_usd.map_or_else(|| "cost unknown".to_owned(), |cost| dollars(units(cost), 2));
    let (calls, tokens) = (grouped(total.events.into()), grouped(total.tokens));
    let unpriced = match total.unpriced_events {
        0 => String::new(),
        n => format!(", beside {} calls whose price is unknown", grouped(n.into())),
    };
    Ok(format!("so far {calls} calls, {tokens} tokens, {cost}{unpriced}"))
}

/// Prints the summary; an error if the ledger says something else than what was sent.
pub(super) fn summary(source: &Source, scenario: &Scenario, truth: &Totals) -> anyhow::Result<()> {
    say("\nSpend by team:\n")?;
    let by_team: SpendReport = read_pages(source, "/v1/spend", &params("team"), usize::MAX)?;
    print(Format::Table, &spend_grid(ByArg::Team, Format::Table, &by_team), "")?;
    let alerts: AlertReport = read_pages(source, "/v1/alerts", &[], 1000)?;
    say(&format!("\nAlerts ({}), the oldest first:\n", alerts.alerts.len()))?;
    for alert in alerts.alerts.iter().rev() {
        say(&format!("- {}\n", alert.text()))?;
    }
    say(&checked(scenario, &counted(source)?, &Counted::of(truth)?)?)
}

fn params(by: &str) -> [(&'static str, String); 1] {
    [("by", by.to_owned())]
}

/// What has to agree, to the last digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    calls: i128,
    tokens: i128,
    cost: UsdSum,
    unpriced_calls: i128,
    unpriced_tokens: i128,
}

impl Counted {
    fn of(truth: &Totals) -> anyhow::Result<Self> {
        Ok(Self {
            calls: truth.events.into(),
            tokens: truth.tokens(),
            cost: truth.known_cost().context("nothing of the day is priced; is the price book empty?")?,
            unpriced_calls: truth.unpriced_events.into(),
            unpriced_tokens: truth.unpriced_tokens,
        })
    }
}

/// What the ledger counted for the demo's agents. Whoever else sent something meanwhile is left out.
fn counted(source: &Source) -> anyhow::Result<Counted> {
    let by_agent: SpendReport = read_pages(source, "/v1/spend", &params("agent"), usize::MAX)?;
    let agents = everybody();
    let mut sum = Counted::default();
    for line in by_agent.rows.iter().filter(|line| agents.iter().any(|agent| agent == line.name())) {
        sum.calls += i128::from(line.events);
        sum.tokens += line.tokens;
        let cost = line.cost_usd.unwrap_or(UsdSum::ZERO);
        sum.cost = sum.cost.checked_add(cost).context("the sum of the costs does not fit")?;
        sum.unpriced_calls += i128::from(line.unpriced_events);
        sum.unpriced_tokens += line.unpriced_tokens;
    }
    Ok(sum)
}

fn checked(scenario: &Scenario, counted: &Counted, sent: &Counted) -> anyhow::Result<String> {
    ensure!(
        counted == sent,
        "the ledger counted {counted:?}, but what the agents sent adds up to {sent:?}; that is a defect, unless \
         something else was sent under the name of one of the demo's agents"
    );
    Ok(format!(
        "\nChecked: what the agents sent adds up to what the ledger counted, to the last digit:\n\
         {} calls, {} tokens, ${}; beside it, {} calls with {} tokens whose price is unknown.\n\
         {} submissions came again, as if their receipt had been lost, and count once. {} used a key for something \
         else;\nthe first stands, and `conflicts` lists the other.\n",
        grouped(sent.calls),
        grouped(sent.tokens),
        sent.cost,
        grouped(sent.unpriced_calls),
        grouped(sent.unpriced_tokens),
        scenario.count(Kind::Retry),
        scenario.count(Kind::Conflict),
    ))
}
