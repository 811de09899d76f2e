//! Any stream of server-sent events.

#![no_main]

#[path = "../common/frames.rs"]
mod frames;

use libfuzzer_sys::fuzz_target;
use shared::extract::frame::Framing;

fuzz_target!(|input: &[u8]| {
    frames::check(Some("text/event-stream"), input);
    for start in [&b"data: {\"model\":\"m\"}\n\n"[..], b": x\r\ndata:"] {
        let end = frames::check(None, &[start, input].concat());
        assert_eq!(end.framing, Framing::Sse);
    }
});
