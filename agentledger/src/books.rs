//! Which price books a repricing can name.

use std::path::Path;
use std::sync::Arc;

use aggregator::admin::FindBook;
use anyhow::Context;
use shared::price::PriceBook;

use crate::config::Config;
use crate::source::Misuse;

/// The book in use: what is compiled in, with the operator's price for tokens that it lacks.
pub(crate) fn in_use(config: &Config) -> anyhow::Result<PriceBook> {
    Ok(with_fallback(PriceBook::embedded()?, config))
}

/// A book of a file.
pub(crate) fn of_file(path: &Path, config: &Config) -> anyhow::Result<PriceBook> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("--book {shown} cannot be read"))?;
    let book = PriceBook::from_json(&text).map_err(|e| Misuse(format!("--book {shown}: {e}")))?;
    Ok(with_fallback(book, config))
}

fn with_fallback(book: PriceBook, config: &Config) -> PriceBook {
    match config.fallback {
        Some(usd_per_token) => book.with_fallback(usd_per_token),
        None => book,
    }
}

/// Finds `book`, by its version or by none.
pub(crate) fn finder(book: Arc<PriceBook>) -> FindBook {
    Arc::new(move |version| match version {
        Some(wanted) if wanted != book.version() => {
            Err(format!("there is no price book {wanted:?}; the one in use is {:?}", book.version()))
        }
        _ => Ok(Arc::clone(&book)),
    })
}
