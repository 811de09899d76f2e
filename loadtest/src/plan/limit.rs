//! A limit, and how much of it is used.
#![expect(clippy::float_arithmetic, reason = "rates; no money")]

/// Whether a limit can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// By nobody.
    Hard,
    /// By AWS, on request.
    Quota,
    /// By another configuration.
    Setting,
}

/// A limit, and what of it is used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    pub(crate) used: f64,
    pub(crate) most: f64,
    pub(crate) unit: &'static str,
    pub(crate) kind: Kind,
    /// What to do when it binds.
    pub(crate) remedy: &'static str,
    pub(crate) source: &'static str,
}

impl Limit {
    /// The part of it that is used.
    pub(crate) fn used_part(&self) -> f64 {
        self.used / self.most
    }
}
