//! `agentledger unpriced`.

use query::UnpricedReport;

use super::{cell, read_pages};
use crate::cli::{Format, UnpricedArgs};
use crate::output::{Grid, number, print, text};
use crate::source::Source;

/// Lists what has no price.
pub(crate) fn unpriced(args: &UnpricedArgs) -> anyhow::Result<()> {
    let source = Source::open(&args.ledger)?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let whole: UnpricedReport = read_pages(&source, "/v1/unpriced", &args.filter.params(), limit)?;
    print(args.output.format, &grid(&whole, args.output.format), &serde_json::to_string(&whole)?)
}

fn grid(report: &UnpricedReport, format: Format) -> Grid {
    // An empty cell says "not stated" to a spreadsheet, without a name that could be a model's.
    let not_stated = if format == Format::Csv { "" } else { query::NOT_STATED };
    let name = |name: Option<String>| name.unwrap_or_else(|| not_stated.to_owned());
    let rows = report.rows.iter().map(|line| {
        let about: Vec<&str> = line.buckets.iter().chain(&line.service_tiers).map(String::as_str).collect();
        let top: Vec<String> =
            line.top_agents.iter().map(|part| format!("{} ({})", part.agent_id, part.tokens)).collect();
        vec![
            name(line.provider.as_ref().map(ToString::to_string)),
            name(line.model.as_ref().map(ToString::to_string)),
            line.reason.name().to_owned(),
            about.join(" "),
            line.events.to_string(),
            line.tokens.to_string(),
            cell(line.share_percent.as_ref()),
            cell(line.first_seen.as_ref()),
            cell(line.last_seen.as_ref()),
            cell(line.agents.as_ref()),
            top.join(", "),
        ]
    });
    let total = &report.total;
    let mut last = vec!["total".to_owned(), String::new(), String::new(), String::new()];
    last.extend([total.events.to_string(), total.tokens.to_string(), cell(total.share_percent.as_ref())]);
    last.extend(vec![String::new(); 4]);
    Grid {
        columns: vec![
            text("provider"),
            text("model"),
            text("reason"),
            text("lacks"),
            number("events"),
            number("tokens"),
            number("percent"),
            text("first_seen"),
            text("last_seen"),
            number("agents"),
            text("top_agents"),
        ],
        rows: rows.collect(),
        total: Some(last),
        note: Some(note(report)),
    }
}

fn note(report: &UnpricedReport) -> String {
    let (from, to) = (&report.from, &report.to);
    let range = format!("{from} to {to} ({})", report.tz);
    if report.total.events == 0 {
        return format!("{range}; everything in it has a price");
    }
    let more = if report.next.is_some() { "; there are more: raise --limit" } else { "" };
    format!(
        "{range}{more}\nto price them: agentledger prices import FILE, then agentledger reprice --unpriced \
         --from {from} --to {to}, which shows what would change, and --apply books it"
    )
}
