//! The commands that ask a ledger and print its answer.

mod budget;
mod completeness;
mod deliveries;
mod differences;
mod doctor;
mod explain;
mod lists;
mod place;
mod prices;
pub(crate) mod redrive;
mod replay;
mod report;
mod reprice;
mod shadow;
mod token;
mod unpriced;

pub(crate) use budget::budget;
pub(crate) use completeness::completeness;
pub(crate) use deliveries::deliveries;
pub(crate) use differences::differences;
pub(crate) use doctor::doctor;
#[cfg(feature = "aws")]
pub(crate) use doctor::{finish, keys_of, of_ledger};
pub(crate) use explain::explain;
pub(crate) use lists::{alerts, conflicts, corrections, events, quarantine};
pub(crate) use prices::{overrides, prices};
pub(crate) use redrive::redrive;
pub(crate) use replay::replay;
#[cfg(feature = "aws")]
pub(crate) use replay::{options as replay_options, replay_from};
pub(crate) use report::{report, spend_grid};
pub(crate) use reprice::{reprice, repricings};
#[cfg(feature = "aws")]
pub(crate) use shadow::shadow_beside;
pub(crate) use token::token;
pub(crate) use unpriced::unpriced;

use anyhow::Context;
use query::{AlertReport, CompletenessReport, EventReport, SpendReport, UnpricedReport};
use serde::de::DeserializeOwned;

use crate::source::Source;

/// Reads an answer.
pub(crate) fn read<T: DeserializeOwned>(answer: &str) -> anyhow::Result<T> {
    serde_json::from_str(answer).context("the answer is not understood; is the server of another version?")
}

/// The most rows of one answer.
const PAGE: usize = 10_000;

/// An answer that comes in pages.
pub(crate) trait Paged: DeserializeOwned {
    /// Its rows.
    fn len(&self) -> usize;

    /// What continues it.
    fn next(&mut self) -> &mut Option<String>;

    /// Takes the rows of the next page, and what continues that.
    fn append(&mut self, page: Self);
}

macro_rules! paged {
    ($report:ty, $rows:ident) => {
        impl Paged for $report {
            fn len(&self) -> usize {
                self.$rows.len()
            }

            fn next(&mut self) -> &mut Option<String> {
                &mut self.next
            }

            fn append(&mut self, page: Self) {
                self.$rows.extend(page.$rows);
                self.next = page.next;
            }
        }
    };
}

paged!(SpendReport, rows);
paged!(EventReport, events);
paged!(AlertReport, alerts);
paged!(UnpricedReport, rows);
paged!(CompletenessReport, senders);

/// Reads page after page, up to `limit` rows.
pub(crate) fn read_pages<T: Paged>(
    source: &Source,
    path: &str,
    params: &[(&'static str, String)],
    limit: usize,
) -> anyhow::Result<T> {
    read_pages_of(PAGE, source, path, params, limit)
}

/// The same in pages of so many rows.
pub(crate) fn read_pages_of<T: Paged>(
    rows: usize,
    source: &Source,
    path: &str,
    params: &[(&'static str, String)],
    limit: usize,
) -> anyhow::Result<T> {
    let page = |next: Option<String>, limit: usize| -> anyhow::Result<T> {
        let mut params = params.to_vec();
        params.push(("limit", limit.min(rows).to_string()));
        params.extend(next.map(|next| ("next", next)));
        read(&source.get(path, &params)?)
    };
    let mut whole = page(None, limit)?;
    while whole.len() < limit
        && let Some(next) = whole.next().take()
    {
        whole.append(page(Some(next), limit - whole.len())?);
    }
    Ok(whole)
}

/// An optional value in a cell.
fn cell<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
