//! The suites that every ledger has to pass, written once against the ports.
//!
//! [`exactly_once`] plays random histories against the real handlers, with crashes, replays and races, and
//! holds the totals against a model. [`port`] checks the port's own promises, access pattern by access pattern.

pub mod check;
pub mod drive;
pub mod exactly_once;
pub mod faulty;
pub mod history;
pub mod intake;
pub mod oracle;
pub mod port;
pub mod published;
pub mod sabotage;
