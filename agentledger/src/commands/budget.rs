//! `agentledger budget set`, `list` and `rm`.

use http::Method;
use query::{BudgetLine, BudgetReport};
use shared::budget::{Budget, BudgetError, BudgetForm, Limit};

use super::read;
use crate::cli::{BudgetArgs, BudgetCommand, BudgetSetArgs};
use crate::output::{Grid, number, print, say, text};
use crate::source::{Misuse, Source, escape};

/// Changes or lists budgets.
pub(crate) fn budget(args: &BudgetArgs) -> anyhow::Result<()> {
    match &args.command {
        BudgetCommand::Set(args) => set(args),
        BudgetCommand::List { output, ledger } => {
            let answer = Source::open(ledger)?.get("/v1/budgets", &[])?;
            let report: BudgetReport = read(&answer)?;
            print(output.format, &grid(&report), &answer)
        }
        BudgetCommand::Rm { name, ledger } => {
            Source::open(ledger)?.send(Method::DELETE, &path(name), "", None)?;
            say(&format!("budget {name} removed\n"))
        }
    }
}

fn set(args: &BudgetSetArgs) -> anyhow::Result<()> {
    let unpriced = args.unpriced.as_deref().map(str::parse).transpose();
    let form = BudgetForm {
        scope: args.scope.clone(),
        limit_usd: args.limit_usd.clone(),
        limit_tokens: args.limit_tokens,
        period: args.period.clone(),
        timezone: args.tz.clone(),
        unpriced: unpriced.map_err(|e: BudgetError| Misuse(e.to_string()))?,
        thresholds: (!args.thresholds.is_empty()).then(|| args.thresholds.clone()),
    };
    // Checked here too, so that a mistake is told apart from a server that refuses.
    form.spec(&args.name).map_err(|e| Misuse(e.to_string()))?;
    let body = serde_json::to_string(&form)?;
    let answer = Source::open(&args.ledger)?.send(Method::PUT, &path(&args.name), "", Some(body))?;
    let budget: Budget = read(&answer)?;
    say(&format!("budget {} is set (version {})\n", budget.spec.name, budget.version))
}

fn path(name: &str) -> String {
    format!("/v1/admin/budgets/{}", escape(name))
}

fn grid(report: &BudgetReport) -> Grid {
    let rows = report.budgets.iter().map(|BudgetLine { budget, current }| {
        let blocked = current.as_ref().is_some_and(|current| current.blocked);
        let spec = &budget.spec;
        let (usd, tokens) = match spec.limit {
            Limit::Usd(usd) => (usd.to_string(), String::new()),
            Limit::Tokens(tokens) => (String::new(), tokens.to_string()),
        };
        let thresholds: Vec<_> = spec.thresholds.iter().map(ToString::to_string).collect();
        vec![
            spec.name.to_string(),
            spec.scope.to_string(),
            usd,
            tokens,
            spec.period.to_string(),
            spec.timezone.name().to_owned(),
            thresholds.join(" "),
            spec.unpriced.to_string(),
            if blocked { "yes" } else { "" }.to_owned(),
            budget.version.to_string(),
        ]
    });
    Grid {
        columns: vec![
            text("name"),
            text("scope"),
            number("limit_usd"),
            number("limit_tokens"),
            text("period"),
            text("timezone"),
            text("thresholds"),
            text("unpriced"),
            text("blocked"),
            number("version"),
        ],
        rows: rows.collect(),
        total: None,
        note: None,
    }
}
