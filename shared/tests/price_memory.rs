//! What a price book holds in memory: a function that starts and waits pays for all of it.

#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use peak_alloc::PeakAlloc;
use shared::price::{PriceBook, embedded_file};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The most that the book that is compiled in may take: what was looked up, and which entries were read.
const COMPILED_IN: usize = 128 << 10;
/// The most that each further model takes that is priced.
const MODEL: usize = 2 << 10;
/// The most that a book of as many models takes that was imported.
const IMPORTED: usize = 1 << 20;

/// What is in use since then, and the most that was.
fn taken(before: usize) -> (usize, usize) {
    (ALLOCATED.current_usage() - before, ALLOCATED.peak_usage() - before)
}

/// The only test here: another thread's memory would count, too.
#[test]
fn a_book_takes_little_memory() {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    let book = PriceBook::embedded().unwrap();
    let (held, peak) = taken(before);
    println!("compiled in: {held} bytes, {peak} while it was loaded");
    assert!(peak <= COMPILED_IN, "{peak} bytes");

    let time: Timestamp = "2026-11-24T02:30:00Z".parse().unwrap();
    let models = ["gpt-4o", "gpt-4.1", "o3", "claude-sonnet-4-5", "claude-opus-4-6", "gemini-2.5-pro"];
    let priced = models.iter().filter(|model| book.price(None, model, "", time).is_some()).count();
    assert_eq!(priced, models.len());
    let (with_models, _) = taken(before);
    println!("with {} models priced: {with_models} bytes", models.len());
    assert!(with_models <= held + models.len() * MODEL, "{with_models} bytes");
    drop(book);

    let json = embedded_file().unwrap().write().unwrap();
    let before = ALLOCATED.current_usage();
    let book = PriceBook::from_json(&json).unwrap();
    let (held, _) = taken(before);
    println!("imported: {held} bytes");
    assert!(held <= IMPORTED, "{held} bytes");
    assert!(book.price(None, "gpt-4o", "", time).is_some());
}
