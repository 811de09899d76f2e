//! The domain of AgentLedger, without I/O.
//!
//! What an event is, what it costs, which totals it belongs to, and the ports (traits) through which the
//! handlers reach a stream, a ledger, metrics and a notifier. Nothing here knows AWS, a database or a socket.

pub mod alert;
pub mod budget;
pub mod clock;
pub mod delivery;
pub mod event;
pub mod extract;
pub mod hash;
pub mod id;
pub mod invariant;
pub mod ledger;
pub mod metrics;
pub mod mint;
pub mod money;
pub mod notifier;
pub mod price;
pub mod quarantine;
pub mod record;
pub mod repricing;
pub mod revocation;
pub mod rollup;
pub mod schema;
pub mod sequence;
pub mod stream;
pub mod totals;
pub mod usage;
pub mod window;
pub mod wire;

pub use jiff::Timestamp;
