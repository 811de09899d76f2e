//! Read-only reports over the ledger.
//!
//! What was spent, by whom and on what; the events behind a number; alerts, conflicts and what was put aside.
//! The same functions answer `GET /v1/…` and the command line, so that both say the same.

mod budgets;
mod differences;
mod error;
mod events;
mod explain;
mod filter;
mod fold;
mod http;
mod instant;
mod listing;
mod lists;
mod openapi;
mod page;
mod params;
mod report;
mod spend;
#[cfg(test)]
mod tests;
mod unpriced;

pub use budgets::{BudgetCurrent, BudgetLine, BudgetReport};
pub use differences::{DifferenceReport, DifferenceRow, Differences, differences};
pub use error::QueryError;
pub use events::{EventLine, EventReport, EventRequest, EventState, SentCorrection, UnitPrices, events};
pub use explain::{
    CostLine, EarlierPrice, Explanation, PriceShown, RepricedBy, Unknown, UnknownReason, explain,
};
pub use filter::Filter;
pub use http::Query;
pub use instant::{parse_instant, show_instant};
pub use lists::{
    AlertReport, AwaitedLine, AwaitedReport, CompletenessReport, ConflictReport, DeliveryReport,
    QuarantineReport, SenderLine, Unmet,
};
pub use openapi::openapi;
pub use report::{NOT_STATED, SpendLine, SpendReport, TaskCounts, UsageSums};
pub use spend::{By, SpendRequest, spend};
pub use unpriced::{
    UnpricedAgent, UnpricedLine, UnpricedReason, UnpricedReport, UnpricedRequest, UnpricedTotal, unpriced,
};
