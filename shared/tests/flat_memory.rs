//! Memory stays flat, whatever the size of a stream, of a line, or of what a sender makes up.

use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use shared::extract::broken::Broken;
use shared::extract::frame::{End, Frames, Framing};
use shared::extract::keep::Keep;

mod aws_encoder;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;
/// Others' memory would count too.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
/// The most that may be in use besides the bytes that are handed over.
const MOST: usize = MIB;

static KEEP: Keep = Keep::Members(&[
    ("model", Keep::Scalar),
    ("usage", Keep::All),
    ("choices", Keep::Members(&[("usage", Keep::All), ("finish_reason", Keep::Scalar)])),
]);

/// Pushes `parts` again and again until it is `total` bytes, between a start and an end. Says what came of it, and how much memory it
/// took at most.
fn peak(start: &[u8], parts: &[&[u8]], total: usize, end: &[u8]) -> (End, usize) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let mut frames = Frames::new(None, &KEEP);
    let mut emit = |document: shared::extract::document::Document<'_>| assert!(!document.exception);
    frames.push(start, &mut emit);
    let mut pushed = 0;
    while pushed < total && !parts.is_empty() {
        for part in parts {
            frames.push(part, &mut emit);
            pushed += part.len();
        }
    }
    frames.push(end, &mut emit);
    let end = frames.finish(&mut emit);
    (end, ALLOCATED.peak_usage().saturating_sub(before))
}

fn events() -> String {
    let delta = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null}"#;
    let usage = r#"data: {"id":"chatcmpl-1","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#;
    format!("{delta}\n\n").repeat(200) + usage + "\n\n"
}

fn check(name: &str, (end, peak): (End, usize), framing: Framing) -> End {
    #[allow(clippy::print_stdout, reason = "the figure is worth reading")]
    {
        println!("{name}: {peak} bytes at most");
    }
    assert!(peak < MOST, "{name} took {peak} bytes");
    assert_eq!(end.framing, framing, "{name}");
    end
}

/// A stream of so many bytes, in each framing.
fn streams(total: usize) {
    let events = events();
    let chunks: Vec<&[u8]> = events.as_bytes().chunks(7001).collect();
    let end = check("events", peak(b"", &chunks, total, b"data: [DONE]\n\n"), Framing::Sse);
    assert!(end.done && end.documents > 0 && end.broken == 0, "{end:?}");

    let lines = events.replace("data: ", "").replace("\n\n", "\n");
    let lines: Vec<&[u8]> = lines.as_bytes().chunks(7001).collect();
    let end = check("lines", peak(b"", &lines, total, b""), Framing::Json);
    assert!(end.documents > 0 && end.broken == 0, "{end:?}");

    let document = events.lines().next().unwrap_or_default().trim_start_matches("data: ");
    let frames = aws_encoder::chunk(document, "abc").repeat(100);
    let frames: Vec<&[u8]> = frames.chunks(7001).collect();
    let end = check("frames", peak(b"", &frames, total, b""), Framing::AwsEventStream);
    assert!(end.documents > 0 && end.broken == 0, "{end:?}");
}

#[test]
fn a_line_of_a_hundred_megabytes_takes_no_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let filler = vec![b'x'; 64 << 10];
    let numbers = "0.0123,".repeat(9000);
    let nested = vec![b'['; 64 << 10];
    let total = 100 * MIB;
    let after = br#""],"model":"m","usage":{"n":1}}"#;
    for (name, start, part, end) in [
        ("text", &br#"data: {"x":[""#[..], &filler[..], &after[..]),
        ("name", br#"data: {"x":[{""#, &filler, br#"":1}],"model":"m","usage":{"n":1}}"#),
        ("escapes", br#"data: {"x":[""#, &br"\u0041\n".repeat(9000), after),
        ("numbers", br#"data: {"x":["#, numbers.as_bytes(), br#"0],"model":"m","usage":{"n":1}}"#),
        ("model", br#"data: {"model":""#, &filler, br#"","usage":{"n":1}}"#),
        (
            "a list that is looked through",
            br#"data: {"choices":["#,
            &br#"{"usage":{}},"#.repeat(9000),
            br#"0],"usage":{"n":1}}"#,
        ),
    ] {
        let end = check(name, peak(start, &[part], total, end), Framing::Sse);
        assert_eq!((end.documents, end.broken, end.truncated), (1, 0, false), "{name}");
    }
    let end = check("event", peak(b"event: ", &[&filler], total, b"\ndata: {}\n\n"), Framing::Sse);
    assert_eq!((end.documents, end.broken), (1, 0));
    let end = check("nesting", peak(b"{\"x\":", &[&nested], total, b""), Framing::Json);
    assert!(end.truncated, "{end:?}");
    let end = check("text that is none", peak(b"<", &[&filler], total, b""), Framing::Unknown);
    assert_eq!((end.documents, end.broken), (0, 0));
    let end = check("blanks", peak(b"", &[&b" \n".repeat(9000)], total, b"{}"), Framing::Json);
    assert_eq!((end.documents, end.broken), (1, 0));
}

#[test]
fn a_body_that_is_there_as_a_whole_is_not_copied() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let body = [br#"{"x":""#.as_slice(), &vec![b'x'; 16 * MIB], br#"","model":"m"}"#].concat();
    let end = check("whole", peak(&body, &[], 0, b""), Framing::Json);
    assert_eq!((end.documents, end.broken), (1, 0));
}

#[test]
fn what_a_sender_makes_up_to_be_kept_takes_little_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let total = 4 * MIB;
    for (part, reason) in [
        (&br#"{"a":1},"#.repeat(8000)[..], Broken::TooMuch),
        (&b"0,".repeat(8000), Broken::TooMuch),
        (&b"[],".repeat(8000), Broken::TooMuch),
        (&b"{},".repeat(8000), Broken::TooMuch),
        (&br#""","#.repeat(8000), Broken::TooMuch),
        (&b"[".repeat(8000), Broken::TooDeep),
        (&br#"{"":"#.repeat(8000), Broken::TooDeep),
    ] {
        let name = String::from_utf8_lossy(&part[..4]).into_owned();
        let end = check(&name, peak(br#"{"usage":["#, &[part], total, b""), Framing::Json);
        assert_eq!((end.broken, end.reason), (1, Some(reason)), "{name}");
    }
}

#[test]
fn a_stream_takes_no_more_memory_the_longer_it_is() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    streams(32 * MIB);
}

#[test]
#[ignore = "takes most of a minute: 1 GiB in each framing; scripts/second-tier.sh runs it"]
fn a_stream_of_a_gigabyte_takes_no_more_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    streams(1024 * MIB);
}
