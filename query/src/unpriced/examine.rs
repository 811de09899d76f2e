//! Where the rows come from: sums of the rollups, and calls that are read until all are found that the sums
//! tell of, or until a bound.

use jiff::Timestamp;
use shared::id::{AgentId, ModelId};
use shared::ledger::{LedgerError, RecordStore, RollupQuery, RollupRow, RollupStore};
use shared::record::Record;
use shared::rollup::ScopeKind;
use shared::totals::Totals;
use shared::usage::Usage;
use shared::window::{QUARTER, Range, WindowKind};

use super::reason::UnpricedReason;
use super::rows::{Key, Part, Rows};
use crate::error::QueryError;
use crate::filter::Filter;
use crate::listing::{Listing, Pages, listings};
use crate::spend::{RollupPlan, agents_of_model, totals_by_model};

/// How many pages of records are read, at most: 20,000 records, about a second.
pub(super) const PAGES: usize = 400;
/// How many models are examined; the others of the list have no provider and no reason.
const MODELS: usize = 100;

/// All totals, and the rows of what has no price.
pub(super) async fn rows<L: RecordStore + RollupStore>(
    ledger: &L,
    filter: &Filter,
    range: Range,
    extent: Range,
    pages: usize,
) -> Result<(Totals, Rows), QueryError> {
    if filter.team.is_some() || filter.task.is_some() || filter.session.is_some() {
        return scan(ledger, filter, range, extent).await;
    }
    let mut all = Totals::default();
    let mut unpriced: Vec<(String, Totals)> = Vec::new();
    for (model, totals) in totals_by_model(ledger, filter, range, extent).await? {
        all.add(&totals)?;
        if totals.unpriced_events > 0 {
            unpriced.push((model, totals));
        }
    }
    unpriced.sort_by(|(a_name, a), (b_name, b)| {
        b.unpriced_tokens.cmp(&a.unpriced_tokens).then_with(|| a_name.cmp(b_name))
    });
    let mut search = Search { ledger, filter, range, extent, pages, rows: Rows::default() };
    let examined = unpriced.len().min(MODELS);
    for (n, (name, totals)) in unpriced.iter().enumerate() {
        // A fair part of what may be read: no model keeps the others from being examined.
        let share = if n < MODELS { search.pages.div_ceil(examined - n) } else { 0 };
        if share > 0 {
            search.model(name, share).await?;
        } else {
            let key = not_examined(name)?;
            let row = search.rows.row(key)?;
            row.events = totals.unpriced_events;
            row.tokens = totals.unpriced_tokens;
        }
    }
    Ok((all, search.rows))
}

struct Search<'a, L> {
    ledger: &'a L,
    filter: &'a Filter,
    range: Range,
    extent: Range,
    /// That may still be read.
    pages: usize,
    rows: Rows,
}

impl<L: RecordStore + RollupStore> Search<'_, L> {
    /// Finds the calls of one model, reading about `share` pages.
    async fn model(&mut self, name: &str, share: usize) -> Result<(), QueryError> {
        let plan = RollupPlan::agents_of_model(name, &self.filter.agents);
        let agents = agents_of_model(self.ledger, &plan, self.range, self.extent).await?;
        let mut agents: Vec<(AgentId, Part)> = agents
            .into_iter()
            .filter(|(_, totals)| totals.unpriced_events > 0)
            .map(|(agent, t)| {
                let part = Part { events: t.unpriced_events, tokens: t.unpriced_tokens };
                AgentId::parse(&agent).map(|agent| (agent, part))
            })
            .collect::<Result<_, _>>()
            .map_err(|e| LedgerError::Broken(format!("rollups name an agent that {e}")))?;
        agents.sort_by(|(a_name, a), (b_name, b)| b.tokens.cmp(&a.tokens).then_with(|| a_name.cmp(b_name)));
        let mut left = share;
        let mut rest: Vec<(AgentId, Part)> = Vec::new();
        for (agent, part) in agents {
            let found =
                if left > 0 { self.agent(&agent, name, part, &mut left).await? } else { Part::default() };
            let part = Part { events: part.events - found.events, tokens: part.tokens - found.tokens };
            if part.events > 0 {
                rest.push((agent, part));
            }
        }
        self.pages = self.pages.saturating_sub(share - left);
        if rest.is_empty() {
            return Ok(());
        }
        let seen = self.seen(name).await?;
        for (agent, part) in rest {
            self.rows.part(not_examined(name)?, &agent, part, |row| {
                row.agents_known = true;
                (row.first, row.last) = seen.unzip();
            })?;
        }
        Ok(())
    }

    /// Finds an agent's calls of a model, newest first; answers how much was found.
    async fn agent(
        &mut self,
        agent: &AgentId,
        model: &str,
        wanted: Part,
        left: &mut usize,
    ) -> Result<Part, QueryError> {
        let mut found = Part::default();
        for range in self.days(agent, model).await? {
            let mut pages = Pages::new(self.ledger, &Listing { agent: Some(agent.clone()), range });
            while *left > 0 && found.events < wanted.events {
                *left -= 1;
                let Some(records) = pages.next().await? else { break };
                for record in &records {
                    let takes = |event: &shared::event::UsageEvent| {
                        event.model.as_ref().map_or("", ModelId::as_str) == model
                    };
                    let part = take(&mut self.rows, record, range, takes, |_| Ok(()))?;
                    found = Part { events: found.events + part.events, tokens: found.tokens + part.tokens };
                }
            }
        }
        Ok(found)
    }

    /// The runs of days on which an agent has calls of a model without a price, latest first.
    async fn days(&self, agent: &AgentId, model: &str) -> Result<Vec<Range>, QueryError> {
        let day = WindowKind::Day;
        let range = self.within();
        let query = RollupQuery {
            kind: ScopeKind::AgentModel,
            a: Some(agent.as_str().to_owned()),
            b: Some(model.to_owned()),
            window: day,
            from: day.start(range.from),
            to: day.end(day.start(range.to - 1)),
        };
        let mut runs: Vec<Range> = Vec::new();
        for row in self.ledger.rollup_rows(&query).await?.iter().filter(|row| has_unpriced(row)) {
            let end = day.end(row.start);
            match runs.last_mut() {
                Some(last) if last.to == row.start => last.to = end,
                _ => runs.push(Range { from: row.start, to: end }),
            }
        }
        let clamp = |run: Range| Range { from: run.from.max(range.from), to: run.to.min(range.to) };
        Ok(runs.into_iter().rev().map(clamp).collect())
    }

    /// The quarter hours between which a model has calls without a price: the first one's start, the last
    /// one's end. None where only some agents are asked for, which the model's own totals do not tell.
    async fn seen(&self, model: &str) -> Result<Option<(Timestamp, Timestamp)>, QueryError> {
        if !self.filter.agents.is_empty() {
            return Ok(None);
        }
        let range = self.within();
        let read = async |window: WindowKind, from: i64, to: i64| {
            let (kind, a) = (ScopeKind::Model, Some(model.to_owned()));
            let query = RollupQuery { kind, a, b: None, window, from, to };
            self.ledger.rollup_rows(&query).await
        };
        let day = WindowKind::Day;
        let days = read(day, day.start(range.from), day.end(day.start(range.to - 1))).await?;
        let mut days = days.iter().filter(|row| has_unpriced(row)).map(|row| row.start);
        let Some(first) = days.next() else { return Ok(None) };
        let last = days.next_back().unwrap_or(first);
        let mut quarters = Vec::new();
        for start in if first == last { vec![first] } else { vec![first, last] } {
            for row in read(WindowKind::Hour, start, day.end(start)).await? {
                let parts = (0..).zip(&row.parts.0).filter(|(_, part)| part.unpriced_events > 0);
                quarters.extend(parts.map(|(n, _)| row.start + n * QUARTER));
            }
        }
        quarters.retain(|at| (range.from..range.to).contains(at));
        let (Some(first), Some(last)) = (quarters.iter().min(), quarters.iter().max()) else {
            return Ok(None);
        };
        let instant = |second| Timestamp::from_second(second).ok();
        Ok(instant(*first).zip(instant(last + QUARTER)))
    }

    fn within(&self) -> Range {
        Range { from: self.range.from.max(self.extent.from), to: self.range.to.min(self.extent.to) }
    }
}

fn has_unpriced(row: &RollupRow) -> bool {
    row.parts.0.iter().any(|part| part.unpriced_events > 0)
}

fn not_examined(model: &str) -> Result<Key, LedgerError> {
    let model = match model {
        "" => None,
        name => Some(
            ModelId::parse(name)
                .map_err(|e| LedgerError::Broken(format!("rollups name a model that {e}")))?,
        ),
    };
    Ok(Key { model, provider: None, reason: UnpricedReason::NotExamined })
}

/// Takes the calls of a record in that have no price, and shows every call that counts; answers how much had
/// none.
fn take(
    rows: &mut Rows,
    record: &Record,
    range: Range,
    takes: impl Fn(&shared::event::UsageEvent) -> bool,
    mut each: impl FnMut(&Totals) -> Result<(), QueryError>,
) -> Result<Part, QueryError> {
    let mut found = Part::default();
    for call in record.data.effective() {
        let Some(usage) = call.usage else { continue };
        if !range.holds(call.event.time) || !takes(call.event) {
            continue;
        }
        each(&Totals::of_call(&usage, call.cost))?;
        if call.cost.is_none() {
            rows.add(record, &call, &usage)?;
            found.events += 1;
            found.tokens += tokens(&usage);
        }
    }
    Ok(found)
}

fn tokens(usage: &Usage) -> i128 {
    i128::from(usage.tokens())
}

/// The same from the records alone, for what has no rollups by model: a team's, a task's, a session's.
async fn scan<L: RecordStore + RollupStore>(
    ledger: &L,
    filter: &Filter,
    range: Range,
    extent: Range,
) -> Result<(Totals, Rows), QueryError> {
    let mut all = Totals::default();
    let mut rows = Rows::default();
    for listing in listings(ledger, filter, range, extent).await? {
        let mut pages = Pages::new(ledger, &listing);
        while let Some(records) = pages.next().await? {
            for record in &records {
                let takes = |event: &shared::event::UsageEvent| filter.takes(&record.agent, event);
                take(&mut rows, record, listing.range, takes, |totals| Ok(all.add(totals)?))?;
            }
        }
    }
    Ok((all, rows))
}
