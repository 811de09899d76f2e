//! Sums from the records themselves, read in pages, for what has no rollup.

use shared::event::UsageEvent;
use shared::id::{AgentId, ModelId, ProviderId, SessionId, TaskId, TeamId};
use shared::ledger::{RecordStore, RollupStore};
use shared::record::Record;
use shared::totals::Totals;
use shared::window::Range;

use super::slot::{Calendar, Slot, Sums};
use super::{By, SpendRequest};
use crate::error::QueryError;
use crate::listing::{Pages, listings};

/// Sums by row over a range.
pub(super) async fn sum<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &SpendRequest,
    range: Range,
    extent: Range,
    outcomes: bool,
) -> Result<Sums, QueryError> {
    let mut sums = Sums::default();
    let mut calendar = Calendar::of(request.by, &request.zone);
    for listing in listings(ledger, &request.filter, range, extent).await? {
        let mut pages = Pages::new(ledger, &listing);
        while let Some(records) = pages.next().await? {
            for record in &records {
                add(&mut sums, calendar.as_mut(), request, listing.range, record, outcomes)?;
            }
        }
    }
    Ok(sums)
}

fn add(
    sums: &mut Sums,
    mut calendar: Option<&mut Calendar<'_>>,
    request: &SpendRequest,
    range: Range,
    record: &Record,
    outcomes: bool,
) -> Result<(), QueryError> {
    let mut slot = |at: jiff::Timestamp, name: &dyn Fn() -> String| match &mut calendar {
        Some(calendar) => calendar.slot(at.as_second()),
        None => Slot::Name(name()),
    };
    for effective in record.data.effective() {
        let Some(usage) = effective.usage else { continue };
        let event = effective.event;
        if range.holds(event.time) && request.filter.takes(&record.agent, event) {
            let slot = slot(event.time, &|| name(request.by, &record.agent, event));
            sums.add(slot, &Totals::of_call(&usage, effective.cost))?;
        }
    }
    for (index, task) in record.data.tasks().filter(|_| outcomes) {
        let voided = record.data.corrections.get(&index).is_some_and(|c| c.void.is_some());
        let team = task.team_id.as_ref();
        if voided
            || !range.holds(task.time)
            || !request.filter.takes_work(&record.agent, team, Some(&task.task_id))
        {
            continue;
        }
        let name = || match request.by {
            By::Agent => record.agent.to_string(),
            By::Team => task.team_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            By::Task => task.task_id.to_string(),
            By::Session | By::Model | By::Provider | By::Day | By::Hour => String::new(),
        };
        let slot = slot(task.time, &name);
        sums.add(slot, &Totals::of_task(task.outcome, task.value))?;
    }
    Ok(())
}

fn name(by: By, agent: &AgentId, event: &UsageEvent) -> String {
    let stated = match by {
        By::Agent => Some(agent.as_str()),
        By::Team => event.team_id.as_ref().map(TeamId::as_str),
        By::Task => event.task_id.as_ref().map(TaskId::as_str),
        By::Session => event.session_id.as_ref().map(SessionId::as_str),
        By::Model => event.model.as_ref().map(ModelId::as_str),
        By::Provider => event.provider.as_ref().map(ProviderId::as_str),
        By::Day | By::Hour => None,
    };
    stated.unwrap_or_default().to_owned()
}
