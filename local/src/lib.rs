//! AgentLedger on one machine: the ports embedded, and the host that drives the handlers.

pub mod ledger;
pub mod source;
pub mod stream;
