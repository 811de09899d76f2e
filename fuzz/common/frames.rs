//! What holds of every body: cutting its bytes changes nothing, and what it takes is bounded.

use peak_alloc::PeakAlloc;
use serde_json::Value;
use shared::extract::document::Document;
use shared::extract::frame::{End, Frames};
use shared::extract::keep::{Keep, MAX_KEPT};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The most memory that a body may take, whatever it is.
const MOST: usize = 1 << 20;

static KEEP: Keep = Keep::Members(&[
    ("model", Keep::Scalar),
    ("error", Keep::Presence),
    ("usage", Keep::All),
    ("choices", Keep::Members(&[("usage", Keep::All), ("finish_reason", Keep::Scalar)])),
    ("message", Keep::Members(&[("model", Keep::Scalar), ("usage", Keep::All)])),
]);

type Found = (Option<String>, bool, Value);

/// Reads a body whole, byte by byte, and in chunks of sizes that it says itself.
pub fn check(content_type: Option<&str>, body: &[u8]) -> End {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let mut frames = Frames::new(content_type, &KEEP);
    let mut documents = 0;
    frames.push(body, &mut |_| documents += 1);
    let end = frames.finish(&mut |_| documents += 1);
    let peak = ALLOCATED.peak_usage().saturating_sub(before);
    assert!(peak < MOST, "{peak} bytes for a body of {}", body.len());

    assert_eq!(end.documents, documents);
    assert_eq!(end.broken > 0, end.reason.is_some());
    assert_eq!(end.empty, body.is_empty());
    let whole = read(content_type, [body]);
    assert_eq!(whole.1, end);
    assert_eq!(read(content_type, body.chunks(1)), whole);
    assert_eq!(read(content_type, cut(body)), whole);
    for (_, _, value) in &whole.0 {
        // An escape is six bytes for one.
        assert!(value.to_string().len() < 6 * MAX_KEPT, "{} bytes are kept", value.to_string().len());
    }
    end
}

fn read<'a>(content_type: Option<&str>, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Found>, End) {
    let mut frames = Frames::new(content_type, &KEEP);
    let mut found = Vec::new();
    let mut emit = |document: Document<'_>| {
        found.push((document.event.map(str::to_owned), document.exception, document.value.clone()));
    };
    for chunk in chunks {
        frames.push(chunk, &mut emit);
    }
    let end = frames.finish(&mut emit);
    (found, end)
}

fn cut(body: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut chunks) = (body, Vec::new());
    while let Some(first) = rest.first() {
        let (chunk, after) = rest.split_at(usize::from(first % 23).min(rest.len()).max(1));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}
