//! AgentLedger on one machine: the ports embedded, and the host that drives the handlers.

pub mod dir;
pub mod histogram;
pub mod host;
pub mod ledger;
pub mod mapping;
pub mod notify;
pub mod replayed;
pub mod stream;
