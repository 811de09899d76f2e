//! A look at whether all is well, in words: each line says what was found, and what to do where that is not well.
//!
//! What is looked at differs by deployment, so each check is a value behind a trait; what is made of what was found is
//! in `judge`, the same for all.

pub mod judge;

use std::fmt;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Well.
    Ok,
    /// It works, and will not for ever.
    Warn,
    /// It does not work.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One line of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of which check.
    pub check: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; none where nothing is to be done.
    pub todo: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), verdict: Verdict::Ok, found: found.into(), todo: None }
    }

    /// It works, but something is to be done.
    pub fn warn(check: &str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, todo: Some(todo.into()), ..Self::ok(check, found) }
    }

    /// It does not work.
    pub fn fail(check: &str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(check, found, todo) }
    }
}

/// What a check finds, once it has looked; an error is why it could not look.
pub type Looked<'a> = Pin<Box<dyn Future<Output = Result<Vec<Finding>, String>> + Send + 'a>>;

/// One thing to look at.
pub trait Check: Send + Sync {
    /// In a word or two.
    fn name(&self) -> &str;

    /// Looks.
    fn look(&self) -> Looked<'_>;
}

/// A check that has looked already: by a means that does not wait.
pub struct Known(&'static str, Result<Vec<Finding>, String>);

impl Known {
    /// Of this name.
    pub fn new(name: &'static str, found: Result<Vec<Finding>, String>) -> Self {
        Self(name, found)
    }
}

impl Check for Known {
    fn name(&self) -> &str {
        self.0
    }

    fn look(&self) -> Looked<'_> {
        Box::pin(std::future::ready(self.1.clone()))
    }
}

/// What all checks found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The worst of them.
    pub verdict: Verdict,
    /// In the order of the checks.
    pub findings: Vec<Finding>,
}

/// Looks at everything. A check that cannot look has failed, and keeps no other from its turn.
pub async fn examine(checks: &[Box<dyn Check>]) -> Report {
    let mut findings = Vec::new();
    for check in checks {
        match check.look().await {
            Ok(found) => findings.extend(found),
            Err(why) => {
                let todo = "see whether it runs, and whether this command reaches it and may ask it";
                findings.push(Finding::fail(check.name(), why, todo));
            }
        }
    }
    let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
    Report { verdict, findings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_worst_finding_is_the_verdict_and_a_check_that_cannot_look_has_failed() {
        let well = || Box::new(Known::new("a", Ok(vec![Finding::ok("a", "fine")])));
        let soon = Known::new("b", Ok(vec![Finding::warn("b", "old", "renew it")]));
        let report = examine(&[well(), Box::new(soon)]).await;
        assert_eq!(report.verdict, Verdict::Warn);
        let blind = Known::new("c", Err("no answer".to_owned()));
        let report = examine(&[Box::new(blind), well()]).await;
        assert_eq!((report.verdict, report.findings.len()), (Verdict::Fail, 2));
        assert_eq!((&*report.findings[0].check, &*report.findings[0].found), ("c", "no answer"));
        assert!(report.findings[0].todo.is_some());
    }
}
