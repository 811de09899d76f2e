//! Lists that the ledger keeps as they are: alerts and their deliveries, conflicts, what was put aside,
//! and corrections that take no effect.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::alert::{Alert, Delivery};
use shared::budget::BudgetScope;
use shared::delivery::{DeliveryAttempt, DeliveryStore};
use shared::id::{AgentId, BudgetName, EventId, SenderId, TeamId};
use shared::ledger::{AlertQuery, AlertStore, Conflict, Quarantined, RecordStore, Sender, SequenceStore};
use shared::record::Content;
use shared::repricing::{RepricingList, RepricingStore};
use shared::sequence::{Run, SenderKey};

use crate::error::QueryError;
use crate::events::SentCorrection;
use crate::page;

/// Alerts, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertReport {
    /// The alerts.
    pub alerts: Vec<Alert>,
    /// Continues the list; none on the last page.
    pub next: Option<String>,
}

/// Attempts to deliver alerts, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryReport {
    /// The attempts.
    pub deliveries: Vec<DeliveryAttempt>,
    /// None: the list is cut at `limit`.
    pub next: Option<String>,
}

/// Conflicts, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConflictReport {
    /// The conflicts.
    pub conflicts: Vec<Conflict>,
    /// None: the list is cut at `limit`.
    pub next: Option<String>,
}

/// What was put aside, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineReport {
    /// The items.
    pub quarantine: Vec<Quarantined>,
    /// None: the list is cut at `limit`.
    pub next: Option<String>,
}

/// Corrections that take no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwaitedReport {
    /// By target.
    pub corrections: Vec<AwaitedLine>,
    /// None: the list is cut at `limit`.
    pub next: Option<String>,
}

/// Why corrections take no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmet {
    /// What they correct has not arrived; they apply when it does.
    Awaited,
    /// It has arrived, and is nothing that they can correct.
    NothingToCorrect,
}

/// An event that corrections name without effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwaitedLine {
    /// Whose.
    pub agent_id: AgentId,
    /// Which event.
    pub corrects: EventId,
    /// Why.
    pub state: Unmet,
    /// Which corrections.
    pub corrections: Vec<SentCorrection>,
}

/// Numbered submissions by sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletenessReport {
    /// By team and name.
    pub senders: Vec<SenderLine>,
    /// Continues the list; none on the last page.
    pub next: Option<String>,
}

/// What arrived of one sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SenderLine {
    /// As the sender names itself.
    pub sender: SenderId,
    /// The team of its token; none without authentication.
    pub team: Option<TeamId>,
    /// How many submissions arrived.
    pub arrived: u64,
    /// The lowest number that arrived.
    pub first: Option<u64>,
    /// The highest.
    pub last: Option<u64>,
    /// How many did not arrive, between 1 and the highest.
    pub missing: u64,
    /// Which, oldest first.
    pub gaps: Vec<Run>,
    /// How many of the missing are too old to be listed.
    pub unlisted: u64,
    /// When a new number last arrived.
    #[schemars(with = "Option<shared::schema::Instant>")]
    pub latest: Option<Timestamp>,
}

impl From<Sender> for SenderLine {
    fn from(Sender { key, arrived }: Sender) -> Self {
        Self {
            sender: key.sender,
            team: key.team,
            arrived: arrived.count(),
            first: arrived.first(),
            last: arrived.last(),
            missing: arrived.missing(),
            gaps: arrived.gaps(),
            unlisted: arrived.given_up(),
            latest: arrived.latest(),
        }
    }
}

/// Lists repricings that were applied.
pub(crate) async fn repricings<L: RepricingStore>(
    ledger: &L,
    limit: usize,
) -> Result<RepricingList, QueryError> {
    let runs = ledger.repricings(limit).await?;
    Ok(RepricingList { repricings: runs.into_iter().map(Into::into).collect(), next: None })
}

pub(crate) async fn completeness<L: SequenceStore>(
    ledger: &L,
    limit: usize,
    next: Option<&str>,
) -> Result<CompletenessReport, QueryError> {
    let question = page::question(&"completeness");
    let after: Option<SenderKey> = next.map(|token| page::read(&question, token)).transpose()?;
    // One more than asked for tells whether there is a next page.
    let mut senders = ledger.senders(after.as_ref(), limit.saturating_add(1)).await?;
    let mut next = None;
    if senders.len() > limit {
        senders.truncate(limit);
        next = senders.last().and_then(|last| page::write(&question, &last.key));
    }
    Ok(CompletenessReport { senders: senders.into_iter().map(SenderLine::from).collect(), next })
}

pub(crate) async fn alerts<L: AlertStore>(
    ledger: &L,
    budget: Option<BudgetName>,
    state: Option<Delivery>,
    limit: usize,
    next: Option<&str>,
    scope: Option<&BudgetScope>,
) -> Result<AlertReport, QueryError> {
    let question = page::question(&(&budget, state, scope));
    let after = next.map(|token| page::read(&question, token)).transpose()?;
    // One more than asked for tells whether there is a next page.
    let wanted = limit.saturating_add(1);
    let mut query = AlertQuery { budget, state, after, limit: wanted, ..AlertQuery::default() };
    let mut alerts = Vec::new();
    loop {
        let page = ledger.alerts(&query).await?;
        let (last, whole) = (page.last().map(|last| (last.at, last.id.clone())), page.len() == query.limit);
        // The ledger keeps alerts by budget and time: other scopes are read over.
        alerts.extend(page.into_iter().filter(|alert| scope.is_none_or(|scope| *scope == alert.scope)));
        if alerts.len() >= wanted || !whole {
            break;
        }
        query = AlertQuery { after: last, limit: page::DEFAULT_LIMIT, ..query };
    }
    let mut next = None;
    if alerts.len() > limit {
        alerts.truncate(limit);
        next = alerts.last().and_then(|last| page::write(&question, (last.at, &last.id)));
    }
    Ok(AlertReport { alerts, next })
}

pub(crate) async fn deliveries<L: DeliveryStore>(
    ledger: &L,
    alert: Option<&str>,
    limit: usize,
) -> Result<DeliveryReport, QueryError> {
    Ok(DeliveryReport { deliveries: ledger.deliveries(alert, limit).await?, next: None })
}

pub(crate) async fn conflicts<L: RecordStore>(
    ledger: &L,
    limit: usize,
) -> Result<ConflictReport, QueryError> {
    Ok(ConflictReport { conflicts: ledger.conflicts(limit).await?, next: None })
}

pub(crate) async fn quarantine<L: RecordStore>(
    ledger: &L,
    limit: usize,
) -> Result<QuarantineReport, QueryError> {
    Ok(QuarantineReport { quarantine: ledger.quarantined(limit).await?, next: None })
}

pub(crate) async fn awaited<L: RecordStore>(ledger: &L, limit: usize) -> Result<AwaitedReport, QueryError> {
    let records = ledger.awaited(limit).await?;
    let corrections = records.iter().flat_map(|record| {
        let awaited = record.data.content == Content::Awaited;
        record.data.unmet().map(move |(index, correction)| AwaitedLine {
            agent_id: record.agent.clone(),
            corrects: record.key.event_id(index),
            state: if awaited { Unmet::Awaited } else { Unmet::NothingToCorrect },
            corrections: SentCorrection::of(correction),
        })
    });
    Ok(AwaitedReport { corrections: corrections.collect(), next: None })
}
