//! Every framing: what is in it comes out, in any cut of the bytes, and what is broken, cut off or something else
//! is told apart.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::extract::broken::Broken;
use shared::extract::frame::{End, Frames, Framing};
use shared::extract::keep::Keep;

mod aws_encoder;
use aws_encoder::{chunk, event, frame, string};

static KEEP: Keep = Keep::Members(&[
    ("model", Keep::Scalar),
    ("type", Keep::Scalar),
    ("message", Keep::Presence),
    ("usage", Keep::All),
    ("choices", Keep::Members(&[("usage", Keep::All)])),
]);

#[derive(Clone, Debug, PartialEq)]
struct Found {
    event: Option<String>,
    exception: bool,
    value: Value,
}

fn read_as<'a>(content_type: Option<&str>, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Found>, End) {
    let mut frames = Frames::new(content_type, &KEEP);
    let mut found = Vec::new();
    let mut emit = |document: shared::extract::document::Document<'_>| {
        found.push(Found {
            event: document.event.map(str::to_owned),
            exception: document.exception,
            value: document.value.clone(),
        });
    };
    for chunk in chunks {
        frames.push(chunk, &mut emit);
    }
    let end = frames.finish(&mut emit);
    assert_eq!(end.documents, found.len() as u64);
    assert_eq!(end.broken > 0, end.reason.is_some());
    (found, end)
}

/// Whole, byte by byte, and in two pieces wherever cut: always the same.
fn read(body: &[u8]) -> (Vec<Found>, End) {
    let whole = read_as(None, [body]);
    assert_eq!(read_as(None, body.chunks(1)), whole, "{}", String::from_utf8_lossy(body));
    if body.len() < 400 {
        for cut in 0..=body.len() {
            let parts = [&body[..cut], &body[cut..]];
            assert_eq!(read_as(None, parts), whole, "{cut} {}", String::from_utf8_lossy(body));
        }
    }
    whole
}

/// An exception (`:exception-type`) or an error (`:error-code`).
fn exception(header: &str, name: &str, kind: &str, payload: &str) -> Vec<u8> {
    frame(&[string(header, name), string(":message-type", kind)], payload.as_bytes())
}

fn plain(value: Value) -> Found {
    Found { event: None, exception: false, value }
}

fn named(event: &str, value: Value) -> Found {
    Found { event: Some(event.to_owned()), exception: false, value }
}

fn clean(framing: Framing, documents: usize) -> End {
    let documents = documents as u64;
    End { framing, empty: false, truncated: false, done: false, documents, broken: 0, reason: None }
}

fn models(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.value["model"].as_str().unwrap_or("-")).collect()
}

#[test]
fn a_body_of_json_is_one_document_or_several() {
    let usage = json!({"prompt_tokens": 5, "cost": "0.00012"});
    let body =
        br#" {"id":"x","model":"m","usage":{"prompt_tokens":5,"cost":0.00012},"choices":[{"message":{}}]}"#;
    let want = json!({"model": "m", "usage": usage, "choices": []});
    assert_eq!(read(body), (vec![plain(want)], clean(Framing::Json, 1)));
    for body in [
        "\u{feff}{\"model\":\"a\"}\n{\"model\":\"b\"}\n",
        "{\"model\":\"a\"}\r\n\r\n{\"model\":\"b\"}",
        "[{\"model\":\"a\"}\n,\r\n{\"model\":\"b\"}]",
        "\n\n  [\n{\n\"model\":\"a\"},{\"model\":\"b\"\n}]",
    ] {
        let (found, end) = read(body.as_bytes());
        assert_eq!((models(&found), end), (vec!["a", "b"], clean(Framing::Json, 2)), "{body}");
    }
}

#[test]
fn after_a_broken_line_the_next_one_counts() {
    let (found, end) = read(b"{\"model\":\"a\"}\n{\"model\":\"b\",}\n\r\n{\"model\":\"c\"}\n");
    assert_eq!(models(&found), ["a", "c"]);
    assert_eq!((end.broken, end.reason, end.truncated), (1, Some(Broken::Syntax), false));
    // A line that was cut off, as by a crash.
    let (found, end) = read(b"{\"model\":\"a\n{\"model\":\"b\"}\n{\"model\":\"c\",\"type\":\"x");
    assert_eq!(models(&found), ["b"]);
    assert_eq!((end.broken, end.reason, end.truncated), (1, Some(Broken::Text), true));
}

#[test]
fn the_inside_of_a_broken_document_is_no_document() {
    for body in [
        "{\"x\": bad,\n  \"y\": [\n{\"model\":\"inside\"}\n]}",
        "{\n\"x\": bad,\n{\"model\":\"inside\"}\n}",
        "[{\"x\": bad},\n{\"model\":\"after\"}]",
        "[\n{\"x\": bad}\n{\"model\":\"after\"}]",
        "{\"x\": bad}\n  {\"model\":\"indented\"}\n",
        "{\"x\": bad,\n\"model\": [\n{\"model\":\"inside\"}",
    ] {
        let (found, end) = read(body.as_bytes());
        assert_eq!((models(&found), end.broken, end.truncated), (vec![], 1, false), "{body}");
    }
}

#[test]
fn a_body_that_breaks_off_is_truncated() {
    for (body, documents) in [
        ("{\"model\":\"a\"", 0),
        ("{\"model\":\"a\"}\n{", 1),
        ("[{\"model\":\"a\"}", 1),
        ("[{\"model\":\"a\"},", 1),
        ("[", 0),
        ("data: {\"model\":\"a\"}\n\ndata: {\"model", 1),
        ("data: {\"model\":\"a\"}\n\nevent: x", 1),
        ("data: {\"model\":\"a\"}\n\nevent: x\n", 1),
        ("data: {\"model\":\"a\"}\n\ndata: [DON", 1),
        ("data: {\"model\":\"a\"}\n\nda", 1),
        ("data: {\"model\":\"a\",\ndata: \"type\":", 0),
    ] {
        let (_, end) = read(body.as_bytes());
        assert_eq!((end.truncated, end.documents, end.broken), (true, documents, 0), "{body}");
    }
    for whole in [
        "data: {\"model\":\"a\"}\n\n",
        "data: {\"model\":\"a\"}\n",
        "data: {\"model\":\"a\"}",
        "data: {\"model\":\"a\"}\n\n: x",
    ] {
        let (found, end) = read(whole.as_bytes());
        assert_eq!((models(&found), end.truncated), (vec!["a"], false), "{whole}");
    }
}

#[test]
fn events_are_read_as_the_standard_says() {
    let a = || json!({"model": "a"});
    for (body, want) in [
        // Ends of lines of each kind, and a space after the colon, one at most.
        ("data:{\"model\":\"a\"}\r\n\r\n", vec![plain(a())]),
        ("data:   {\"model\":\"a\"}\r\r", vec![plain(a())]),
        ("data: {\"model\":\ndata:\"a\"}\n\n", vec![plain(a())]),
        ("data: {\rdata:\rdata\rdata: \"model\": \"a\"}\r\r", vec![plain(a())]),
        // The name may come before the data or after it; the last one counts.
        ("event: x\ndata: {\"model\":\"a\"}\n\n", vec![named("x", a())]),
        ("data: {\"model\":\"a\"}\nevent:x\n\n", vec![named("x", a())]),
        ("event: y\nevent: x\ndata: {\"model\":\"a\"}\n\n", vec![named("x", a())]),
        ("event: x\nevent\ndata: {\"model\":\"a\"}\n\n", vec![plain(a())]),
        ("event: x\n\ndata: {\"model\":\"a\"}\n\n", vec![plain(a())]),
        // Comments, other fields, and events without data.
        (": PING\n\nid: 1\nretry: 5\ndata: {\"model\":\"a\"}\n: x\n\n\n", vec![plain(a())]),
        ("datax: {}\ndatas\ndata: {\"model\":\"a\"}\n\n", vec![plain(a())]),
        ("event: ping\ndata:\n\ndata: {\"model\":\"a\"}\n\n", vec![plain(a())]),
        ("\u{feff}data: {\"model\":\"a\"}\n\n", vec![plain(a())]),
        ("\n\r\ndata: {\"model\":\"a\"}\n\n", vec![plain(a())]),
        // A list's elements are documents here too.
        ("event: x\ndata: [{\"model\":\"a\"},{\"model\":\"a\"}]\n\n", vec![named("x", a()), named("x", a())]),
    ] {
        let body = if body.starts_with("datax") { format!("id:\n{body}") } else { body.to_owned() };
        let documents = want.len();
        assert_eq!(read(body.as_bytes()), (want, clean(Framing::Sse, documents)), "{body}");
    }
    let long = format!("event: {}\ndata: {{\"model\":\"a\"}}\n\n", "x".repeat(300));
    assert_eq!(read(long.as_bytes()).0, [plain(a())]);
}

#[test]
fn what_is_no_document_is_passed_over() {
    for text in ["[DONE]", " [DONE] ", "[DONE]\ndata:", "", "hello", "5", "\"x\""] {
        let (found, end) = read(format!("data:{text}\n\ndata: {{\"model\":\"a\"}}\n\n").as_bytes());
        assert_eq!(models(&found), ["a"], "{text}");
        assert_eq!((end.broken, end.truncated, end.done), (0, false, text.contains("DONE")), "{text}");
    }
    let (_, end) = read(b"data: {\"model\":\"a\"}\n\ndata: [DONE]");
    assert!(end.done && !end.truncated, "{end:?}");
}

#[test]
fn an_event_that_is_broken_is_left_out_and_the_next_one_counts() {
    for (data, reason) in [
        ("{\"model\":}", Broken::Syntax),
        ("{\"model\":\"b\"", Broken::Syntax),
        ("{\"model\":\ndata: \"b", Broken::Syntax),
        ("{\"model\":\"b\ndata: \"}", Broken::Text),
        ("{\"model\":1,\"model\":2}", Broken::Repeated),
        ("{\"usage\":NaN}", Broken::Syntax),
        ("[DONE", Broken::Syntax),
        ("[DONE]x", Broken::Syntax),
        ("[[DONE]]", Broken::Syntax),
    ] {
        let body = format!("data: {{\"model\":\"a\"}}\n\ndata: {data}\n\ndata: {{\"model\":\"c\"}}\n\n");
        let (found, end) = read(body.as_bytes());
        assert_eq!((models(&found), end.broken, end.reason), (vec!["a", "c"], 1, Some(reason)), "{body}");
    }
}

#[test]
fn what_is_neither_has_no_documents() {
    for body in [
        "<!doctype html><html>{\"model\":\"a\"}</html>",
        "Internal Server Error",
        "database: x",
        "  data: {}",
        "null",
        "12",
        "\"x\"",
        "\u{1}\u{2}",
        "event",
        "\0\0\0\u{10}\0\0\0\0aaaa\n{\"model\":\"a\"}",
        "ids: 4\n",
        "%PDF",
    ] {
        let (found, end) = read(body.as_bytes());
        assert_eq!((found, end), (vec![], clean(Framing::Unknown, 0)), "{body:?}");
    }
    let (found, end) = read(b"");
    assert_eq!((found.len(), end), (0, End { empty: true, ..clean(Framing::Unknown, 0) }));
    let (_, end) = read(b" \r\n");
    assert_eq!(end, clean(Framing::Unknown, 0));
}

#[test]
fn the_content_type_is_asked_only_where_the_bytes_do_not_say() {
    let framing = |kind, body: &[u8]| read_as(Some(kind), [body]).1.framing;
    let body = b"data: {}\n\n";
    assert_eq!(framing("application/json", body), Framing::Sse);
    assert_eq!(framing("text/event-stream", b"{}"), Framing::Json);
    assert_eq!(framing("application/vnd.amazon.eventstream", b"[]"), Framing::Json);
    assert_eq!(framing("application/json", &event("x", "{}")), Framing::AwsEventStream);
    assert_eq!(framing("Text/Event-Stream; charset=utf-8", b"cursor: 5\ndata: {}\n\n"), Framing::Sse);
    assert_eq!(framing("text/plain", b"cursor: 5\ndata: {}\n\n"), Framing::Unknown);
    let (_, end) = read_as(Some("application/vnd.amazon.eventstream"), [&[0_u8; 40][..]]);
    assert_eq!((end.framing, end.broken, end.reason), (Framing::AwsEventStream, 1, Some(Broken::Checksum)));
    let (_, end) = read_as(Some("application/vnd.amazon.eventstream"), [&[0_u8; 5][..]]);
    assert_eq!((end.framing, end.truncated), (Framing::AwsEventStream, true));
}

#[test]
fn frames_are_read_and_chunks_unwrapped() {
    let inner = r#"{"model":"a","usage":{"n":1},"z":"é/"}"#;
    let body = [
        event("initial-response", ""),
        event("metadata", r#"{"usage":{"inputTokens":5},"p":"abc"}"#),
        chunk(inner, "abcdef"),
        chunk(inner, ""),
        frame(&[string(":event-type", "chunk"), string(":message-type", "event")], br#"{"p":"x"}"#),
        event("text", "no JSON"),
        event("", r#"{"model":"b"}"#),
    ]
    .concat();
    let unwrapped = named("chunk", json!({"model": "a", "usage": {"n": 1}}));
    let want = vec![
        named("metadata", json!({"usage": {"inputTokens": 5}})),
        unwrapped.clone(),
        unwrapped,
        named("", json!({"model": "b"})),
    ];
    assert_eq!(read(&body), (want, clean(Framing::AwsEventStream, 4)));
}

#[test]
fn an_exception_is_told_as_one() {
    let body = [
        exception(":exception-type", "throttlingException", "exception", r#"{"message":"slow down"}"#),
        exception(":error-code", "InternalFailure", "error", ""),
        exception(":exception-type", "modelStreamErrorException", "exception", "{broken"),
        exception(":exception-type", "chunk", "exception", r#"{"bytes":"e30="}"#),
    ]
    .concat();
    let (found, end) = read(&body);
    let want = [
        ("throttlingException", json!({"message": true})),
        ("InternalFailure", Value::Null),
        ("modelStreamErrorException", Value::Null),
        ("chunk", json!({})),
    ];
    let want = want.map(|(name, value)| Found { exception: true, ..named(name, value) });
    assert_eq!(found, want);
    assert_eq!((end.broken, end.reason), (1, Some(Broken::Syntax)));
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers: Vec<Vec<u8>> = (0..=9_u8)
        .map(|kind| {
            let value: &[u8] = match kind {
                0 | 1 => &[],
                2 => &[1],
                3 => &[1; 2],
                4 => &[1; 4],
                5 | 8 => &[1; 8],
                6 => b"\0\x03:ev",
                7 => b"\0\0",
                _ => &[1; 16],
            };
            [&[3, b'h', b'-', b'0' + kind, kind], value].concat()
        })
        .collect();
    headers.push(string("a-header-whose-name-is-longer-than-any-that-counts", &"v".repeat(40_000)));
    headers.push(string(":event-type", "x"));
    let body = frame(&headers, br#"{"model":"a"}"#);
    assert_eq!(read(&body), (vec![named("x", json!({"model": "a"}))], clean(Framing::AwsEventStream, 1)));
}

#[test]
fn a_frame_that_contradicts_itself_is_left_out_and_the_next_one_counts() {
    let good = || event("x", r#"{"model":"a"}"#);
    let inner = |bytes: &str| {
        frame(&[string(":event-type", "chunk")], format!(r#"{{"bytes":"{bytes}"}}"#).as_bytes())
    };
    for (bad, reason) in [
        (frame(&[vec![1, b'a', 10]], b"{}"), Broken::Frame),
        (frame(&[vec![0]], b"{}"), Broken::Frame),
        (frame(&[vec![9, b'a']], b"{}"), Broken::Frame),
        (frame(&[string(":event-type", "x"), string(":event-type", "y")], b"{}"), Broken::Frame),
        (frame(&[vec![11], b":event-type\x00".to_vec()], b"{}"), Broken::Frame),
        (event("x", "{}{}"), Broken::Several),
        (event("x", "{"), Broken::Syntax),
        (event("x", "{\"model\":1,\"model\":2}"), Broken::Repeated),
        (inner("e30"), Broken::Syntax),
        (inner("!!!!"), Broken::Base64),
        (inner("e30=e30="), Broken::Base64),
        (inner("eyJ9e"), Broken::Base64),
        (inner("ew=="), Broken::Syntax),
        (frame(&[string(":event-type", "chunk")], br#"{"bytes":"e30="#), Broken::Syntax),
    ] {
        let body = [good(), bad, good()].concat();
        let (found, end) = read(&body);
        if reason == Broken::Syntax && end.broken == 0 {
            // Padding may be missing.
            assert_eq!(models(&found), ["a", "-", "a"]);
            continue;
        }
        assert_eq!(
            (models(&found), end.broken, end.reason),
            (vec!["a", "a"], 1, Some(reason)),
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
}

#[test]
fn a_bit_that_flipped_is_found() {
    let frames =
        [event("x", r#"{"model":"a"}"#), chunk(r#"{"model":"b"}"#, "pad"), event("y", r#"{"model":"c"}"#)];
    let body = frames.concat();
    let (whole, end) = read(&body);
    assert_eq!((models(&whole), end.broken), (vec!["a", "b", "c"], 0));
    for bit in frames[0].len() * 8..body.len() * 8 {
        let mut flipped = body.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (found, end) = read_as(None, [&flipped[..]]);
        assert_eq!(end.broken, 1, "bit {bit}");
        assert!(found.iter().all(|found| whole.contains(found)) && found.len() < 3, "bit {bit}: {found:?}");
    }
}

#[test]
#[ignore = "needs recorded responses: set AGENTLEDGER_CORPUS, as scripts/second-tier.sh does"]
fn recorded_responses_are_sound_in_any_cut() {
    let corpus = std::path::PathBuf::from(std::env::var_os("AGENTLEDGER_CORPUS").unwrap());
    let mut seen = 0;
    for provider in std::fs::read_dir(corpus.join("cases")).unwrap() {
        for case in std::fs::read_dir(provider.unwrap().path()).unwrap() {
            let path = case.unwrap().path();
            let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let text = case["response_body"].as_str().unwrap_or_default();
            let body = if case["body_encoding"] == "base64" {
                STANDARD.decode(text).unwrap()
            } else {
                text.as_bytes().to_vec()
            };
            let (found, end) = read_as(case["response_content_type"].as_str(), [&body[..]]);
            let path = path.display();
            if end.broken > 0 || end.truncated || end.framing == Framing::Unknown || found.is_empty() {
                println!("{path}: {end:?}");
            }
            assert!(end.broken == 0, "{path}: {end:?}");
            assert!(end.empty || end.framing != Framing::Unknown, "{path}: {end:?}");
            assert_eq!(read_as(None, body.chunks(1)), (found.clone(), end), "{path}");
            assert_eq!(read_as(None, body.chunks(7)), (found, end), "{path}");
            seen += 1;
        }
    }
    assert!(seen > 0, "there are no cases");
}

/// What a stream is made of.
#[derive(Clone, Debug)]
enum Piece {
    Document(Option<String>, Value, u8),
    Noise(u8),
}

fn piece() -> impl Strategy<Value = Piece> {
    let text = || "[a-z]{1,6}|[\"\\\\é😀\n]{0,3}";
    let usage = proptest::collection::btree_map("[a-z]{1,3}", any::<u64>(), 0..4);
    let document = (text(), usage, any::<bool>(), any::<i16>()).prop_map(|(model, usage, choice, n)| {
        let choices =
            if choice { json!([{"usage": usage, "delta": {"content": [model, {}]}}]) } else { json!(null) };
        json!({"id": n, "model": model, "usage": usage, "choices": choices, "x": [[{"model": 1}]]})
    });
    prop_oneof![
        4 => (proptest::option::of("[a-z]{1,9}"), document, any::<u8>()).prop_map(|(event, value, style)| Piece::Document(event, value, style)),
        1 => any::<u8>().prop_map(Piece::Noise),
    ]
}

/// What is kept of a document above.
fn kept(value: &Value) -> Value {
    let choices = match &value["choices"] {
        Value::Null => Value::Null,
        choices => json!([{"usage": choices[0]["usage"]}]),
    };
    json!({"model": value["model"], "usage": value["usage"], "choices": choices})
}

fn sse(pieces: &[Piece]) -> (Vec<u8>, Vec<Found>) {
    let (mut body, mut want) = (String::from(": stream\n\n"), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Document(event, value, style) => {
                let end = ["\n", "\r\n", "\r"][usize::from(style % 3)];
                let name = event.as_ref().map_or(String::new(), |event| format!("event: {event}{end}"));
                let text = if style % 4 == 0 { format!("{value:#}") } else { value.to_string() };
                let data: String = text.lines().flat_map(|line| ["data: ", line, end]).collect();
                let (first, second) = if style % 5 == 0 { (data, name) } else { (name, data) };
                body.extend([&first, &second, end]);
                want.push(Found { event: event.clone(), exception: false, value: kept(value) });
            }
            Piece::Noise(n) => body.push_str(
                [
                    ": ping\n\n",
                    "event: ping\ndata:\n\n",
                    "data: [DONE]\r\n\r\n",
                    "id: 7\n\n",
                    "\r\n",
                    "data: text\n\n",
                ][usize::from(n % 6)],
            ),
        }
    }
    (body.into_bytes(), want)
}

fn lines(pieces: &[Piece], list: bool) -> (Vec<u8>, Vec<Found>) {
    let (mut body, mut want) = (String::from(if list { "[" } else { "" }), Vec::new());
    for piece in pieces {
        let Piece::Document(_, value, style) = piece else { continue };
        if list && !want.is_empty() {
            body.push(',');
        }
        let text = if style % 4 == 0 { format!("{value:#}") } else { value.to_string() };
        body.push_str(&text);
        body.push_str(["\n", "\r\n", "", " "][usize::from(style % 4)]);
        want.push(plain(kept(value)));
    }
    body.push_str(if list { "]" } else { "" });
    (body.into_bytes(), want)
}

fn aws(pieces: &[Piece]) -> (Vec<u8>, Vec<Found>) {
    let (mut body, mut want) = (event("initial-response", ""), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Document(name, value, style) => {
                let wrapped = style % 2 == 0;
                let name = name.as_deref().unwrap_or("metadata");
                let frame =
                    if wrapped { chunk(&value.to_string(), "abc") } else { event(name, &value.to_string()) };
                body.extend(frame);
                want.push(named(if wrapped { "chunk" } else { name }, kept(value)));
            }
            Piece::Noise(n) => {
                body.extend(exception(
                    ":exception-type",
                    "oops",
                    "exception",
                    ["", "{}", "text"][usize::from(n % 3)],
                ));
                let value = if n % 3 == 1 { json!({}) } else { Value::Null };
                want.push(Found { exception: true, ..named("oops", value) });
            }
        }
    }
    (body, want)
}

fn cut<'a>(body: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut chunks) = (body, Vec::new());
    for size in sizes.iter().cycle() {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    chunks
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    (proptest::collection::vec(0_usize..40, 0..6), 1_usize..300).prop_map(|(mut sizes, last)| {
        sizes.push(last);
        sizes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_cut_gives_what_is_in_it(pieces in proptest::collection::vec(piece(), 1..8), sizes in sizes()) {
        for (framing, (body, want)) in [
            (Framing::Sse, sse(&pieces)),
            (Framing::Json, lines(&pieces, false)),
            (Framing::Json, lines(&pieces, true)),
            (Framing::AwsEventStream, aws(&pieces)),
        ] {
            if body.is_empty() {
                continue;
            }
            let (found, end) = read_as(None, [&body[..]]);
            prop_assert_eq!(&found, &want);
            prop_assert_eq!(End { done: false, ..end }, clean(framing, want.len()));
            prop_assert_eq!(&read_as(None, cut(&body, &sizes)), &(found, end));
            let (found, _) = read_as(None, body.chunks(1));
            prop_assert_eq!(&found, &want);
        }
    }

    #[test]
    fn a_body_that_breaks_off_gives_what_was_complete(
        pieces in proptest::collection::vec(piece(), 1..6),
        at in any::<prop::sample::Index>(),
        sizes in sizes(),
    ) {
        for (body, want) in [sse(&pieces), lines(&pieces, false), lines(&pieces, true), aws(&pieces)] {
            if body.is_empty() {
                continue;
            }
            let body = &body[..at.index(body.len())];
            let (found, end) = read_as(None, [body]);
            prop_assert!(found.len() <= want.len());
            // The name of an event may have been cut off.
            let value = |found: &Found| found.value.clone();
            let begun: Vec<_> = want.iter().take(found.len()).map(value).collect();
            prop_assert_eq!(found.iter().map(value).collect::<Vec<_>>(), begun);
            prop_assert_eq!(end.broken, 0);
            prop_assert_eq!(read_as(None, cut(body, &sizes)), (found, end));
        }
    }

    #[test]
    fn whatever_is_done_to_a_body_the_cuts_change_nothing(
        pieces in proptest::collection::vec(piece(), 1..6),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..5),
        sizes in sizes(),
    ) {
        const WORDS: &[u8] = b"{}[]\",:\\\n\r\n\r0-.eu\x00\xff =d";
        for (mut body, _) in [sse(&pieces), lines(&pieces, false), lines(&pieces, true), aws(&pieces)] {
            for (index, byte, kind) in &edits {
                if body.is_empty() {
                    break;
                }
                let at = index.index(body.len());
                let word = WORDS[usize::from(*byte) % WORDS.len()];
                match kind {
                    0 => body[at] = *byte,
                    1 => body[at] = word,
                    2 => body.insert(at, word),
                    _ => drop(body.remove(at)),
                }
            }
            let whole = read_as(None, [&body[..]]);
            prop_assert_eq!(&read_as(None, cut(&body, &sizes)), &whole);
            prop_assert_eq!(&read_as(None, body.chunks(1)), &whole);
        }
    }

    #[test]
    fn a_frame_that_was_changed_is_never_believed(
        pieces in proptest::collection::vec(piece(), 1..6),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (mut body, want) = aws(&pieces);
        let first = event("initial-response", "").len();
        if body.len() == first {
            return Ok(());
        }
        let at = first + at.index(body.len() - first);
        body[at] ^= 1 << bit;
        let (found, end) = read_as(None, [&body[..]]);
        prop_assert_eq!(end.broken, 1);
        prop_assert!(found.len() < want.len() && found.iter().all(|found| want.contains(found)));
    }
}
