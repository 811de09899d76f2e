//! What a caller's token allows of a submission: its agents, and its team. Works on what was parsed, so that
//! every shape of a body is held to the same.

use auth::{Caller, Denied, Role};
use edge::{Fault, Problem};
use http::HeaderMap;
use shared::event::Body;
use shared::id::TeamId;

use crate::parse::Submission;

/// Refuses a caller that may send nothing.
pub(crate) fn sender(caller: &Caller) -> Result<(), Problem> {
    caller.demand(Role::Ingest).map_err(|denied| denied.problem())
}

/// Refuses agents and teams that the token does not allow, and sets the token's team.
pub(crate) fn submission(
    caller: &Caller,
    headers: &HeaderMap,
    submission: &mut Submission,
) -> Result<(), Problem> {
    if !caller.is_authenticated() {
        return Ok(());
    }
    if let Some(mark) = &mut submission.mark {
        mark.sender.team = caller.team().cloned();
    }
    agents(caller, submission).map_err(|denied| denied.problem())?;
    teams(caller, headers, submission).map_err(|denied| denied.problem())
}

fn agents(caller: &Caller, submission: &Submission) -> Result<(), Denied> {
    let refused =
        submission.drafts.iter().enumerate().filter(|(_, draft)| !caller.may_write_for(&draft.agent));
    let faults: Vec<_> = refused
        .map(|(index, draft)| Fault::of_event(index, "agent_id", Denied::agent_reason(&draft.agent)))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Denied::Agents(faults)) }
}

fn teams(caller: &Caller, headers: &HeaderMap, submission: &mut Submission) -> Result<(), Denied> {
    let own = caller.team();
    // The header was parsed, so what is there is one name. It is refused also where no event takes it.
    let header = headers.get(HEADER).map(|value| TeamId::parse(value.to_str().unwrap_or_default()).ok());
    let mut faults = Vec::new();
    if header.as_ref().is_some_and(|named| named.as_ref() != own) {
        faults.push(Fault::of_request(HEADER, Denied::team_reason(own)));
    }
    for (index, draft) in submission.drafts.iter_mut().enumerate() {
        let team = match &mut draft.body {
            Body::Usage(event) => &mut event.team_id,
            Body::TaskOutcome(outcome) => &mut outcome.team_id,
            // They take the team of what they correct, which the agent's name finds.
            Body::Void(_) | Body::Amend(_) => continue,
        };
        // What only repeats the header was named there.
        let from_header = header.as_ref().is_some_and(|named| named == team);
        if team.is_some() && team.as_ref() != own && !from_header {
            faults.push(Fault::of_event(index, "team_id", Denied::team_reason(own)));
        }
        *team = own.cloned();
    }
    if faults.is_empty() { Ok(()) } else { Err(Denied::Teams(faults)) }
}

const HEADER: &str = "x-team-id";
