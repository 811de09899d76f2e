//! Where to look for the records that a filter can hold: rollups say which agents had any, on which days,
//! so that a rare task is not searched for in everybody's history.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::AgentId;
use shared::ledger::{LedgerError, RecordCursor, RecordQuery, RecordStore, RollupQuery, RollupStore};
use shared::record::{Listed, Record};
use shared::rollup::ScopeKind;
use shared::window::{Range, WindowKind};

use crate::filter::Filter;

/// Records read at a time: a packed record can have 400 KB.
pub(crate) const PAGE: usize = 50;

/// Records to read: of one agent or of all, in one range. The ranges of one agent do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) agent: Option<AgentId>,
    pub(crate) range: Range,
}

/// The listings that hold everything that `filter` takes within `range`, latest first.
pub(crate) async fn listings<L: RollupStore>(
    ledger: &L,
    filter: &Filter,
    range: Range,
    extent: Range,
) -> Result<Vec<Listing>, LedgerError> {
    listings_of(ledger, filter, range, extent, false).await
}

/// The same; of what has no price alone if `unpriced`, which the rollups know the days of, too: mostly there are
/// few, and not everybody's history has to be read for them.
pub(crate) async fn listings_of<L: RollupStore>(
    ledger: &L,
    filter: &Filter,
    range: Range,
    extent: Range,
    unpriced: bool,
) -> Result<Vec<Listing>, LedgerError> {
    let range = Range { from: range.from.max(extent.from), to: range.to.min(extent.to) };
    if range.from >= range.to {
        return Ok(Vec::new());
    }
    let pair = match filter {
        Filter { task: Some(task), .. } => Some((ScopeKind::AgentTask, task.as_str())),
        Filter { model: Some(model), .. } => Some((ScopeKind::AgentModel, model.as_str())),
        Filter { team: Some(team), .. } => Some((ScopeKind::TeamAgent, team.as_str())),
        _ => None,
    };
    let from = WindowKind::Day.start(range.from);
    let to = WindowKind::Day.end(WindowKind::Day.start(range.to - 1));
    let days = |kind, a, b| RollupQuery { kind, a, b, window: WindowKind::Day, from, to };
    let agents: BTreeSet<_> = filter.agents.iter().collect();
    let queries: Vec<RollupQuery> = match pair {
        Some((ScopeKind::TeamAgent, name)) => vec![days(ScopeKind::TeamAgent, Some(name.to_owned()), None)],
        Some((kind, name)) => vec![days(kind, None, Some(name.to_owned()))],
        None if unpriced && agents.is_empty() => vec![days(ScopeKind::Org, None, None)],
        None if unpriced => {
            let of = |agent: &&AgentId| days(ScopeKind::Agent, Some(agent.as_str().to_owned()), None);
            agents.iter().map(of).collect()
        }
        None => Vec::new(),
    };
    let mut found = Vec::new();
    for query in &queries {
        let mut rows = ledger.rollup_rows(query).await?;
        rows.retain(|row| !unpriced || row.parts.0.iter().any(|part| part.unpriced_events > 0));
        for (agent, ranges) in runs_of_days(query.kind, rows) {
            let agent = match query.kind {
                ScopeKind::Org => None,
                _ => Some(AgentId::parse(&agent).map_err(|_| {
                    LedgerError::Broken(format!("rollups name the agent {agent:?}, which is no id"))
                })?),
            };
            if agent.as_ref().is_some_and(|agent| !agents.is_empty() && !agents.contains(agent)) {
                continue;
            }
            for run in ranges {
                let range = Range { from: run.from.max(range.from), to: run.to.min(range.to) };
                found.push(Listing { agent: agent.clone(), range });
            }
        }
    }
    if queries.is_empty() && agents.is_empty() {
        found.push(Listing { agent: None, range });
    } else if queries.is_empty() {
        found.extend(agents.into_iter().map(|agent| Listing { agent: Some(agent.clone()), range }));
    }
    found.sort_by_key(|listing| std::cmp::Reverse(listing.range.to));
    Ok(found)
}

fn runs_of_days(kind: ScopeKind, rows: Vec<shared::ledger::RollupRow>) -> BTreeMap<String, Vec<Range>> {
    let mut agents: BTreeMap<String, Vec<Range>> = BTreeMap::new();
    for row in rows {
        let agent = if kind == ScopeKind::TeamAgent { row.scope.b } else { row.scope.a };
        let runs = agents.entry(agent).or_default();
        let end = WindowKind::Day.end(row.start);
        match runs.last_mut() {
            Some(last) if last.to == row.start => last.to = end,
            _ => runs.push(Range { from: row.start, to: end }),
        }
    }
    agents
}

/// Reads a listing page by page, newest first.
pub(crate) struct Pages<'a, L> {
    ledger: &'a L,
    query: RecordQuery,
    done: bool,
}

impl<'a, L: RecordStore> Pages<'a, L> {
    pub(crate) fn new(ledger: &'a L, listing: &Listing) -> Self {
        Self::of(ledger, listing, PAGE)
    }

    /// Pages of so many records.
    pub(crate) fn of(ledger: &'a L, listing: &Listing, limit: usize) -> Self {
        let query =
            RecordQuery { agent: listing.agent.clone(), range: Some(listing.range), after: None, limit };
        Self { ledger, query, done: false }
    }

    /// The next page; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Record>>, LedgerError> {
        if self.done {
            return Ok(None);
        }
        let records = self.ledger.records(&self.query).await?;
        let last = records.last().and_then(|last| {
            let (_, latest) = last.data.span()?;
            Some(RecordCursor { latest, agent: last.agent.clone(), key: last.key.clone() })
        });
        self.turn(records.len(), last);
        Ok(Some(records))
    }

    /// The same, for what needs little of each record.
    pub(crate) async fn next_listed(&mut self) -> Result<Option<Vec<Listed>>, LedgerError> {
        if self.done {
            return Ok(None);
        }
        let listed = self.ledger.listed(&self.query).await?;
        let place = |Listed { agent, key, latest, .. }: &Listed| RecordCursor {
            latest: *latest,
            agent: agent.clone(),
            key: key.clone(),
        };
        self.turn(listed.len(), listed.last().map(place));
        Ok(Some(listed))
    }

    /// To the page after so many records, of which this was the last.
    fn turn(&mut self, records: usize, last: Option<RecordCursor>) {
        self.done = records < self.query.limit || last.is_none();
        self.query.after = last;
    }
}
