//! `agentledger replay --shadow`: rollups made anew of the stored records, compared, and repaired.

use std::sync::Arc;

use operate::shadow::{Alone, Consumers, Difference, Options, Report, Shadow, ShadowError};
use query::parse_instant;
use shared::ledger::{RecordStore, RollupStore};
use shared::window::{WindowKind, Zone};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::replay::bar;
use crate::cli::ReplayArgs;
use crate::output::{Grid, number, print, text};
use crate::source::Misuse;

/// Over a ledger that nobody else holds.
pub(crate) fn shadow<L: RecordStore + RollupStore>(
    args: &ReplayArgs,
    runtime: &Runtime,
    ledger: &Arc<L>,
) -> anyhow::Result<()> {
    shadow_beside(args, runtime, ledger, &Alone)
}

/// Over a ledger whose consumers are paused for a repair.
pub(crate) fn shadow_beside<L: RecordStore + RollupStore, P: Consumers>(
    args: &ReplayArgs,
    runtime: &Runtime,
    ledger: &Arc<L>,
    consumers: &P,
) -> anyhow::Result<()> {
    let instant = |flag: &str, value: &Option<String>| {
        let value = value.as_deref().unwrap_or_default();
        let wrong = || Misuse(format!("{flag} {value:?} is no date such as 2026-11-24, and no RFC 3339"));
        parse_instant(value, &Zone::utc()).ok_or_else(wrong)
    };
    let options = Options {
        from: instant("--from", &args.from)?,
        to: instant("--to", &args.to)?,
        promote: args.promote,
        closed: args.closed,
    };
    let bar = bar("slices of time");
    let mut told = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let shadow = Shadow::new(Arc::clone(ledger));
    let made = runtime.block_on(async {
        tokio::select! {
            made = shadow.run(&options, consumers, &mut told) => made,
            // Whatever was repaired stays, and the rest is found the next time; but events wait.
            () = told_to_end() => {
                consumers.resume().await.map_err(ShadowError::Consumers)?;
                Err(ShadowError::Consumers("stopped before the end; what was paused goes on".to_owned()))
            }
        }
    });
    bar.finish_and_clear();
    let report = match made {
        Ok(report) => report,
        Err(ShadowError::Asked(why)) => return Err(Misuse(why).into()),
        Err(error) => return Err(error.into()),
    };
    print(args.output.format, &grid(&report), &serde_json::to_string(&report)?)
}

/// Ctrl-C, or what ends a service.
async fn told_to_end() {
    let ended = signal(SignalKind::terminate());
    let ended = async {
        match ended {
            Ok(mut ended) => drop(ended.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        told = tokio::signal::ctrl_c() => if told.is_err() { std::future::pending().await },
        () = ended => {}
    }
}

fn grid(report: &Report) -> Grid {
    let row = |difference: &Difference| {
        let Difference { stored, recomputed, .. } = difference;
        vec![
            name(difference.window).to_owned(),
            difference.start.to_string(),
            difference.kind.clone(),
            difference.a.clone(),
            difference.b.clone(),
            stored.events.to_string(),
            recomputed.events.to_string(),
            stored.tokens.to_string(),
            recomputed.tokens.to_string(),
            stored.cost_usd.to_string(),
            recomputed.cost_usd.to_string(),
        ]
    };
    Grid {
        columns: vec![
            text("window"),
            text("start"),
            text("kind"),
            text("a"),
            text("b"),
            number("events"),
            number("recomputed"),
            number("tokens"),
            number("recomputed"),
            number("cost_usd"),
            number("recomputed"),
        ],
        rows: report.differences.iter().map(row).collect(),
        total: None,
        note: Some(note(report)),
    }
}

fn name(window: WindowKind) -> &'static str {
    match window {
        WindowKind::Hour => "hour",
        WindowKind::Day => "day",
        WindowKind::Month => "month",
    }
}

fn note(report: &Report) -> String {
    let mut lines = Vec::new();
    lines.push(match (report.different, report.promoted) {
        (0, _) => format!("{} rollups are what their records add up to", report.rollups),
        (n, true) => format!("{n} of {} rollups differed and were repaired", report.rollups),
        (n, false) => format!("{n} of {} rollups differ; --promote repairs them", report.rollups),
    });
    let listed = report.differences.len() as u64;
    if report.different > listed {
        lines.push(format!("the first {listed} are listed"));
    }
    for edge in &report.uncovered {
        lines.push(format!(
            "not looked at, as it lies only partly in the range: the {} from {} to {}",
            name(edge.window),
            edge.from,
            edge.to
        ));
    }
    lines.join("\n")
}
