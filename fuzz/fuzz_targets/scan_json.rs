//! Any body that begins as JSON does: one document, lines of them, or a list. What serde_json reads is not broken,
//! unless something in it counts twice or is too much.

#![no_main]

#[path = "../common/frames.rs"]
mod frames;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use shared::extract::broken::Broken;
use shared::extract::frame::Framing;

fuzz_target!(|input: &[u8]| {
    frames::check(Some("application/json"), input);
    for start in [&b"{"[..], b"["] {
        let body = [start, input].concat();
        let end = frames::check(None, &body);
        assert_eq!(end.framing, Framing::Json);
        if serde_json::from_slice::<IgnoredAny>(&body).is_ok() {
            let counts = matches!(
                end.reason,
                None | Some(Broken::Repeated | Broken::TooMuch | Broken::TooDeep | Broken::Text)
            );
            assert!(counts && !end.truncated, "{end:?}");
            assert!(end.broken > 0 || start == b"[" || end.documents == 1, "{end:?}");
        }
    }
});
