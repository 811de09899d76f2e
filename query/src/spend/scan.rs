//! Sums from the records themselves, read in pages, for what has no rollup.

use jiff::Timestamp;
use shared::id::{AgentId, TeamId};
use shared::ledger::{RecordStore, RollupStore};
use shared::record::{Call, Listed};
use shared::totals::Totals;
use shared::window::Range;

use super::slot::{Calendar, Sums};
use super::{By, SpendRequest};
use crate::error::QueryError;
use crate::fold::{Fold, Share, fold};
use crate::listing::listings;

/// Sums by row over a range; `outcomes` says whether those of tasks count.
pub(super) async fn sum<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &SpendRequest,
    range: Range,
    extent: Range,
    outcomes: bool,
    share: Share,
) -> Result<Sums, QueryError> {
    let listings = listings(ledger, &request.filter, range, extent).await?;
    let asked = Asked { request: request.clone(), outcomes };
    Ok(fold::<_, Scanned>(ledger, &listings, asked, share).await?.sums)
}

struct Asked {
    request: SpendRequest,
    outcomes: bool,
}

#[derive(Default)]
struct Scanned {
    sums: Sums,
    calendar: Option<Calendar>,
}

impl Scanned {
    fn add(&mut self, at: Timestamp, name: &str, totals: &Totals) -> Result<(), QueryError> {
        match &mut self.calendar {
            Some(calendar) => self.sums.add(calendar.slot(at.as_second()), totals),
            None => self.sums.add_named(name, totals),
        }
    }
}

impl Fold for Scanned {
    type Question = Asked;

    fn take(&mut self, asked: &Asked, record: &Listed, range: Range) -> Result<(), QueryError> {
        let Asked { request, outcomes } = asked;
        if self.calendar.is_none() {
            self.calendar = Calendar::of(request.by, &request.zone);
        }
        let brief = record.brief()?;
        for call in brief.calls() {
            if range.holds(call.time) && request.filter.takes_call(&record.agent, &call) {
                let name = name(request.by, &record.agent, &call);
                self.add(call.time, name, &Totals::of_call(&call.usage, call.cost))?;
            }
        }
        for task in brief.tasks().filter(|_| *outcomes) {
            let team = task.team_id.as_ref().map(TeamId::as_str);
            let id = task.task_id.as_str();
            if !range.holds(task.time) || !request.filter.takes_work(&record.agent, team, Some(id)) {
                continue;
            }
            let name = match request.by {
                By::Agent => record.agent.as_str(),
                By::Team => team.unwrap_or_default(),
                By::Task => id,
                By::Session | By::Model | By::Provider | By::Day | By::Hour => "",
            };
            self.add(task.time, name, &Totals::of_task(task.outcome, task.value))?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), QueryError> {
        other.sums.into_iter().try_for_each(|(slot, totals)| self.sums.add(slot, &totals))
    }
}

/// The name of a call's row; empty if it was not stated, or if rows are times.
fn name<'a>(by: By, agent: &'a AgentId, call: &Call<'a>) -> &'a str {
    let stated = match by {
        By::Agent => Some(agent.as_str()),
        By::Team => call.team,
        By::Task => call.task,
        By::Session => call.session,
        By::Model => call.model,
        By::Provider => call.provider,
        By::Day | By::Hour => None,
    };
    stated.unwrap_or_default()
}
