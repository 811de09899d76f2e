//! `agentledger events`, `alerts`, `conflicts`, `quarantine` and `corrections`.

use query::{
    AlertReport, AwaitedReport, ConflictReport, EventReport, EventState, QuarantineReport, SentCorrection,
    Unmet,
};
use shared::alert::Delivery;

use super::{cell, read, read_pages};
use crate::cli::{AlertsArgs, EventsArgs, ListArgs};
use crate::output::{Grid, number, print, text};
use crate::source::Source;

/// Lists metered calls.
pub(crate) fn events(args: &EventsArgs) -> anyhow::Result<()> {
    let source = Source::open(&args.ledger)?;
    let mut params = args.filter.params();
    if args.unpriced {
        params.push(("unpriced", "true".to_owned()));
    }
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let whole: EventReport = read_pages(&source, "/v1/events", &params, limit)?;
    let rows = whole.events.iter().map(|event| {
        let state = match event.state {
            EventState::Counted => "counted",
            EventState::Amended => "amended",
            EventState::Voided => "voided",
        };
        vec![
            event.time.to_string(),
            event.agent_id.to_string(),
            cell(event.task_id.as_ref()),
            cell(event.model.as_ref()),
            event.tokens.to_string(),
            cell(event.cost_usd.as_ref()),
            cell(event.reported_cost_usd.as_ref()),
            state.to_owned(),
            event.id.to_string(),
        ]
    });
    let grid = Grid {
        columns: vec![
            text("time"),
            text("agent"),
            text("task"),
            text("model"),
            number("tokens"),
            number("cost_usd"),
            number("reported_cost_usd"),
            text("state"),
            text("id"),
        ],
        rows: rows.collect(),
        total: None,
        note: more(whole.next.as_ref()),
    };
    print(args.output.format, &grid, &serde_json::to_string(&whole)?)
}

/// Lists alerts.
pub(crate) fn alerts(args: &AlertsArgs) -> anyhow::Result<()> {
    let source = Source::open(&args.ledger)?;
    let mut params = Vec::new();
    params.extend(args.budget.clone().map(|budget| ("budget", budget)));
    params.extend(args.state.clone().map(|state| ("state", state)));
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let whole: AlertReport = read_pages(&source, "/v1/alerts", &params, limit)?;
    let rows = whole.alerts.iter().map(|alert| {
        let blocked = alert.unpriced.as_ref().is_some_and(|unpriced| unpriced.blocked);
        let state = match alert.state {
            Delivery::Pending => "pending",
            Delivery::Delivered => "delivered",
        };
        vec![
            alert.at.to_string(),
            alert.budget.to_string(),
            alert.kind.name().to_owned(),
            // A notice of usage without a price is of no threshold.
            if alert.kind.is_of_budget() { alert.threshold_percent.to_string() } else { String::new() },
            alert.period_start.to_string(),
            cell(alert.spend_usd.as_ref()),
            cell(alert.unpriced.as_ref().and_then(|unpriced| unpriced.assumed_usd.as_ref())),
            cell(alert.limit_usd.as_ref()),
            alert.spend_tokens.to_string(),
            cell(alert.limit_tokens.as_ref()),
            alert.unpriced_tokens.to_string(),
            if blocked { "yes" } else { "" }.to_owned(),
            state.to_owned(),
            alert.id.clone(),
        ]
    });
    let grid = Grid {
        columns: vec![
            text("at"),
            text("budget"),
            text("kind"),
            number("percent"),
            text("period_start"),
            number("spend_usd"),
            number("assumed_usd"),
            number("limit_usd"),
            number("spend_tokens"),
            number("limit_tokens"),
            number("unpriced_tokens"),
            text("blocked"),
            text("state"),
            text("id"),
        ],
        rows: rows.collect(),
        total: None,
        note: more(whole.next.as_ref()),
    };
    print(args.output.format, &grid, &serde_json::to_string(&whole)?)
}

/// Lists conflicts.
pub(crate) fn conflicts(args: &ListArgs) -> anyhow::Result<()> {
    let answer = list("/v1/conflicts", args)?;
    let report: ConflictReport = read(&answer)?;
    let rows = report.conflicts.into_iter().map(|conflict| {
        vec![
            conflict.at.to_string(),
            conflict.agent.to_string(),
            conflict.key,
            conflict.standing.as_str().to_owned(),
            conflict.refused.as_str().to_owned(),
            conflict.content,
        ]
    });
    let grid = Grid {
        columns: ["at", "agent", "key", "standing", "refused", "content"].map(text).into(),
        rows: rows.collect(),
        total: None,
        note: None,
    };
    print(args.output.format, &grid, &answer)
}

/// Lists what was put aside.
pub(crate) fn quarantine(args: &ListArgs) -> anyhow::Result<()> {
    let answer = list("/v1/quarantine", args)?;
    let report: QuarantineReport = read(&answer)?;
    let rows = report
        .quarantine
        .into_iter()
        .map(|item| vec![item.at.to_string(), item.code, item.reason, item.position, item.id, item.payload]);
    let grid = Grid {
        columns: ["at", "code", "reason", "position", "id", "payload"].map(text).into(),
        rows: rows.collect(),
        total: None,
        note: None,
    };
    print(args.output.format, &grid, &answer)
}

/// Lists corrections that take no effect.
pub(crate) fn corrections(args: &ListArgs) -> anyhow::Result<()> {
    let answer = list("/v1/corrections", args)?;
    let report: AwaitedReport = read(&answer)?;
    let rows = report.corrections.into_iter().flat_map(|line| {
        let state = match line.state {
            Unmet::Awaited => "awaited",
            Unmet::NothingToCorrect => "nothing to correct",
        };
        let (agent, corrects) = (line.agent_id.to_string(), line.corrects.to_string());
        line.corrections.into_iter().map(move |correction| {
            let (kind, id) = match correction {
                SentCorrection::Void { id } => ("void", id),
                SentCorrection::Amend { id, .. } => ("amend", id),
            };
            vec![agent.clone(), corrects.clone(), state.to_owned(), kind.to_owned(), id.to_string()]
        })
    });
    let grid = Grid {
        columns: ["agent", "corrects", "state", "kind", "id"].map(text).into(),
        rows: rows.collect(),
        total: None,
        note: None,
    };
    print(args.output.format, &grid, &answer)
}

fn list(path: &str, args: &ListArgs) -> anyhow::Result<String> {
    Source::open(&args.ledger)?.get(path, &[("limit", args.limit.to_string())])
}

pub(super) fn more(next: Option<&String>) -> Option<String> {
    next.map(|_| "there are more: raise --limit, or narrow the question".to_owned())
}
