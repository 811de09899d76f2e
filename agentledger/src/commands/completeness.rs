//! `agentledger completeness`: senders that number their submissions, and what of them did not arrive.

use query::{CompletenessReport, SenderLine};

use super::lists::more;
use super::{cell, read_pages};
use crate::cli::ListArgs;
use crate::output::{Grid, number, print, text};
use crate::source::Source;

/// The most gaps shown in a cell.
const SHOWN: usize = 10;

/// Lists senders and their gaps.
pub(crate) fn completeness(args: &ListArgs) -> anyhow::Result<()> {
    let source = Source::open(&args.ledger)?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let whole: CompletenessReport = read_pages(&source, "/v1/completeness", &[], limit)?;
    let rows = whole.senders.iter().map(|line| {
        vec![
            line.sender.to_string(),
            cell(line.team.as_ref()),
            line.arrived.to_string(),
            cell(line.last.as_ref()),
            line.missing.to_string(),
            gaps(line),
            cell(line.latest.as_ref()),
        ]
    });
    let grid = Grid {
        columns: vec![
            text("sender"),
            text("team"),
            number("arrived"),
            number("highest"),
            number("missing"),
            text("gaps"),
            text("latest"),
        ],
        rows: rows.collect(),
        total: None,
        note: more(whole.next.as_ref()),
    };
    print(args.output.format, &grid, &serde_json::to_string(&whole)?)
}

/// Such as `3 5-6`.
fn gaps(line: &SenderLine) -> String {
    let shown = line.gaps.iter().take(SHOWN).map(|gap| {
        if gap.from == gap.to { gap.from.to_string() } else { format!("{}-{}", gap.from, gap.to) }
    });
    let mut shown: Vec<_> = shown.collect();
    if line.gaps.len() > SHOWN || line.unlisted > 0 {
        shown.push("…".to_owned());
    }
    shown.join(" ")
}
