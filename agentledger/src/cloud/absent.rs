//! `--aws` in a build without the feature.

use shared::price::Books;

use crate::cli::{DoctorArgs, RedriveArgs, ReplayArgs};
use crate::source::{Misuse, Source};

fn absent<T>() -> anyhow::Result<T> {
    let how = "--aws is not in this build: `cargo install --path agentledger --features aws`, or build with \
               `--features aws`";
    Err(Misuse(how.to_owned()).into())
}

pub(crate) fn source(_: Option<Books>) -> anyhow::Result<Source> {
    absent()
}

pub(crate) fn replay(_: &ReplayArgs) -> anyhow::Result<()> {
    absent()
}

pub(crate) fn redrive(_: &RedriveArgs) -> anyhow::Result<()> {
    absent()
}

pub(crate) fn doctor(_: &DoctorArgs) -> anyhow::Result<()> {
    absent()
}
