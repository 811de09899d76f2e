use std::fmt::Write;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::extract::keep::tests::filter;

static KEEP: Keep = Keep::Members(&[
    ("a", Keep::Scalar),
    ("b", Keep::Presence),
    ("all", Keep::All),
    ("usage", Keep::Members(&[("n", Keep::Scalar), ("a", Keep::Presence), ("usage", Keep::All)])),
    ("list", Keep::Members(&[("a", Keep::Scalar), ("list", Keep::Members(&[("é\"\\", Keep::Scalar)]))])),
]);
const WORDS: &[u8] = b"{}[]\",:\\\n0-.eu\x00\xff";
const NAMES: [&str; 9] = ["a", "b", "all", "usage", "n", "list", "é\"\\", "", "unasked"];

/// The documents, and why it stopped if it did.
fn scan(chunks: &[&[u8]]) -> (Vec<Value>, Option<Broken>) {
    let mut scanner = Scanner::new(&KEEP);
    let mut found = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        loop {
            let (taken, step) = scanner.step(rest);
            rest = &rest[taken..];
            match step {
                Step::More => break,
                Step::Document(value) => found.push(value),
                Step::Broken(reason) => return (found, Some(reason)),
                Step::Tapped => unreachable!("nothing is tapped"),
            }
        }
    }
    (found, None)
}

/// Whole, in two pieces wherever cut, and byte by byte: always the same.
fn one(text: &[u8]) -> (Vec<Value>, Option<Broken>) {
    let whole = scan(&[text]);
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(scan(&bytes), whole, "{}", String::from_utf8_lossy(text));
    if text.len() < 200 {
        for cut in 0..text.len() {
            assert_eq!(scan(&[&text[..cut], &text[cut..]]), whole, "{cut} {}", String::from_utf8_lossy(text));
        }
    }
    whole
}

fn good(text: &str) -> Value {
    let (mut found, broken) = one(text.as_bytes());
    assert_eq!((found.len(), broken), (1, None), "{text}");
    found.remove(0)
}

fn bad(text: &str) -> Broken {
    let (found, broken) = one(text.as_bytes());
    assert_eq!(found, Vec::<Value>::new(), "{text}");
    broken.unwrap_or_else(|| panic!("{text} is sound"))
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let text = r#"{"x":[{"a":1}],"a":"m","y":"long \" text","b":{"deep":[1,"}"]},"usage":{"n":12,"m":{"n":2},
        "usage":{"z":[1,[2,{"q":null}],{}],"f":0.00123,"g":1e-05}},"list":[{},{"a":1},{"list":[]},[{"a":2}],"s",null]}"#;
    let want = json!({"a": "m", "b": true, "usage": {"n": 12,
        "usage": {"z": [1, [2, {"q": null}], {}], "f": "0.00123", "g": "1e-05"}},
        "list": [{"a": 1}, {"list": []}, [{"a": 2}], "s", null]});
    assert_eq!(good(text), want);
}

#[test]
fn what_is_there_is_told_though_nothing_of_it_is_kept() {
    for (text, want) in [
        ("{}", json!({})),
        (r#"{"x":1}"#, json!({})),
        (r#"{"usage":{}}"#, json!({"usage": {}})),
        (r#"{"usage":{"x":[]}}"#, json!({"usage": {}})),
        (
            r#"{"usage":null,"a":null,"b":null,"all":null}"#,
            json!({"usage": null, "a": null, "b": null, "all": null}),
        ),
        (r#"{"usage":5,"list":true}"#, json!({"usage": 5, "list": true})),
        (r#"{"usage":-5,"list":"n"}"#, json!({"usage": "-5", "list": "n"})),
        (r#"{"list":[{},[],[[],{}],{"x":1}]}"#, json!({"list": [[], [[]]]})),
        (r#"{"a":{}}"#, json!({})),
        (r#"{"a":[1]}"#, json!({})),
        (r#"{"all":{},"b":[]}"#, json!({"all": {}, "b": true})),
        (r#"{"all":[{}],"b":false}"#, json!({"all": [{}], "b": true})),
    ] {
        assert_eq!(good(text), want, "{text}");
    }
    let long = "x".repeat(MAX_TEXT + 1);
    assert_eq!(
        good(&format!(r#"{{"usage":"{long}","list":["{long}"]}}"#)),
        json!({"usage": true, "list": [true]})
    );
}

#[test]
fn of_a_list_only_so_many_elements_are_kept() {
    let of =
        |element: &str, count: usize| format!(r#"{{"list":[{}],"a":1}}"#, vec![element; count].join(","));
    for count in [MAX_ELEMENTS - 1, MAX_ELEMENTS, MAX_ELEMENTS + 1, 3000] {
        let kept = count.min(MAX_ELEMENTS);
        assert_eq!(good(&of(r#"{"a":1},{}"#, count)), json!({"list": vec![json!({"a": 1}); kept], "a": 1}));
        assert_eq!(good(&of("7", count)), json!({"list": vec![7; kept], "a": 1}));
    }
}

#[test]
fn documents_follow_each_other_or_stand_in_a_list() {
    let want = vec![json!({"a": 1}), json!({"a": 2})];
    for text in [
        "{\"a\":1}{\"a\":2}",
        " {\"a\":1}\r\n\n{\"a\":2}\n",
        "[{\"a\":1},{\"a\":2}]",
        "[{\"a\":1}]\n[{\"a\":2}]",
        "[1,\"{\",{\"a\":1},null,true,{\"a\":2}]",
    ] {
        assert_eq!(one(text.as_bytes()), (want.clone(), None), "{text}");
    }
    assert_eq!(one(b"[[{\"a\":1}]]"), (vec![json!([{"a": 1}])], None));
    assert_eq!(one(b"[]"), (vec![], None));
}

#[test]
fn names_are_compared_as_they_are_meant() {
    assert_eq!(good(r#"{"\u0075sage":{"\u006e":1}}"#), json!({"usage": {"n": 1}}));
    assert_eq!(
        good(r#"{"list":[{"list":[{"\u00e9\"\\":1}]}]}"#),
        json!({"list": [{"list": [{"é\"\\": 1}]}]})
    );
    let long = "u".repeat(100_000);
    assert_eq!(good(&format!(r#"{{"{long}":1,"a":2,"\u0061{long}":3}}"#)), json!({"a": 2}));
}

#[test]
fn strings_are_read_as_serde_json_reads_them() {
    let text = r#""\"\\\/\b\f\n\r\tA\u00e9\u20ac\ud83d\ude00é€😀""#;
    let want: Value = serde_json::from_str(text).unwrap();
    assert_eq!(good(&format!(r#"{{"a":{text},"all":{{{text}:1}}}}"#))["a"], want);
    assert_eq!(good(&format!(r#"{{"all":{{{text}:1}}}}"#))["all"][want.as_str().unwrap()], 1);
    // Half a pair is no character; it is no reason to lose a count either.
    for (half, read) in [
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00", "\u{fffd}"),
        (r"\ud83dx", "\u{fffd}x"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\ud83d\u0041", "\u{fffd}A"),
    ] {
        assert_eq!(good(&format!(r#"{{"a":"{half}"}}"#)), json!({"a": read}), "{half}");
    }
}

#[test]
fn a_string_of_more_than_an_id_is_left_out() {
    let just = "x".repeat(MAX_TEXT);
    assert_eq!(good(&format!(r#"{{"a":"{just}"}}"#)), json!({"a": just}));
    assert_eq!(good(&format!(r#"{{"a":"{just}x","b":1}}"#)), json!({"b": true}));
    // As it stands there: six bytes for one.
    let escaped = "\\u0041".repeat(MAX_TEXT / 6 + 1);
    assert_eq!(good(&format!(r#"{{"a":"{escaped}"}}"#)), json!({}));
    for cut in 1..8 {
        let pad = "x".repeat(MAX_TEXT - cut);
        assert_eq!(good(&format!(r#"{{"a":"{pad}\u0041\"\\","b":1}}"#)), json!({"b": true}));
    }
}

#[test]
fn what_is_no_json_is_broken() {
    for text in [
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":1]",
        "[1}",
        "[,",
        "[1 2",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":nul}",
        "{\"a\":tru1}",
        "]",
        "}",
        "x",
        "\"a\"",
        "{\"list\":[1}",
        "{\"list\":[1,]}",
        "{\"usage\":{]}",
        "{'a':1}",
        "{\"all\":[1,]}",
        "{\"x\":undefined}",
        "\u{feff}{}",
    ] {
        assert_eq!(bad(text), Broken::Syntax, "{text}");
    }
    for text in ["{\"a\":01}", "{\"a\":-}", "{\"a\":1.}", "{\"a\":1e}"] {
        assert_eq!(bad(text), Broken::Number, "{text}");
    }
    for text in [
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"x\n\"}",
        "{\"x\":\"x\n\"}",
        "{\"x\n\":1}",
        "{\"x\":[\"x\n\"]}",
    ] {
        assert_eq!(bad(text), Broken::Text, "{text}");
    }
    let not_utf8 = [b"{\"a\":\"".as_slice(), b"\xff\"}"].concat();
    assert_eq!(one(&not_utf8), (vec![], Some(Broken::Text)));
    let passed_over = [b"{\"x\":\"".as_slice(), b"\xff\"}"].concat();
    assert_eq!(one(&passed_over), (vec![json!({})], None));
}

#[test]
fn a_member_that_counts_stands_there_once() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"usage":null,"usage":{"n":1}}"#,
        r#"{"usage":{"n":1,"n":2}}"#,
        r#"{"all":{"x":1,"x":1}}"#,
        r#"{"b":{},"b":1}"#,
        // Nothing is kept of the first.
        r#"{"a":{},"a":1}"#,
        r#"{"a":[1],"b":1,"a":1}"#,
    ] {
        assert_eq!(bad(text), Broken::Repeated, "{text}");
    }
    assert_eq!(good(r#"{"x":1,"x":2,"list":[{"a":1},{"a":1}]}"#), json!({"list": [{"a": 1}, {"a": 1}]}));
}

#[test]
fn what_is_kept_is_bounded() {
    let list = |item: &str, times: usize| vec![item; times].join(",");
    for text in [
        format!(r#"{{"all":"{}"}}"#, "x".repeat(MAX_KEPT)),
        format!(r#"{{"all":{{"{}":1}}}}"#, "x".repeat(MAX_KEPT)),
        format!(r#"{{"all":[{}]}}"#, list("0", MAX_KEPT / VALUE_COST)),
        format!(r#"{{"all":[{}]}}"#, list("{}", MAX_KEPT / CONTAINER_COST)),
        format!(r#"{{"list":[{}]}}"#, list(&format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_TEXT)), 60)),
        format!(r#"{{"a":{}}}"#, "1".repeat(MAX_TEXT + 1)),
    ] {
        let (found, broken) = scan(&[text.as_bytes()]);
        assert_eq!((found.len(), broken), (0, Some(Broken::TooMuch)), "{text:.60}");
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(scan(&bytes).1, Some(Broken::TooMuch), "{text:.60}");
    }
    // What is passed over is not, nor what comes of it.
    let text = format!(r#"{{"list":[{}],"a":1}}"#, list(r#"{"x":[{"a":1}]}"#, MAX_KEPT));
    assert_eq!(scan(&[text.as_bytes()]), (vec![json!({"a": 1, "list": []})], None));
}

#[test]
fn nesting_is_bounded_where_it_is_kept() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        good(&format!(r#"{{"all":{}}}"#, nest(MAX_DEPTH - 1)))["all"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(bad(&format!(r#"{{"all":{}}}"#, nest(MAX_DEPTH))), Broken::TooDeep);
    assert_eq!(good(&format!(r#"{{"x":{},"a":1}}"#, nest(100_000))), json!({"a": 1}));
}

#[test]
fn after_a_reset_another_document_counts() {
    for begun in ["{\"usage\":{\"n\":1", "[{\"a\":\"x", "{\"a\":\"\\ud83d", "nonsense", "{\"all\":[12"] {
        let mut scanner = Scanner::new(&KEEP);
        scanner.step(begun.as_bytes());
        scanner.reset();
        assert_eq!(
            scanner.step(b"{\"a\":\"y\",\"all\":3}").1,
            Step::Document(json!({"a": "y", "all": 3})),
            "{begun}"
        );
        assert!(scanner.between());
    }
}

#[test]
fn a_tapped_string_is_handed_out_whatever_its_length() {
    static TAPPED: Keep = Keep::Members(&[("bytes", Keep::Presence)]);
    let content = "abc/".repeat(50_000);
    let text = format!(r#"{{"p":"\/","bytes":"{}","q":["bytes"]}}"#, content.replace('/', r"\/"));
    for size in [1, 7, 1000, text.len()] {
        let mut scanner = Scanner::tapping(&TAPPED);
        let (mut got, mut ended) = (Vec::new(), false);
        for mut chunk in text.as_bytes().chunks(size) {
            while !chunk.is_empty() {
                let (taken, step) = scanner.step(chunk);
                chunk = &chunk[taken..];
                match step {
                    Step::Tapped => scanner.drain(|piece| {
                        assert!(piece.len() <= 1028);
                        got.extend_from_slice(piece);
                    }),
                    Step::Document(value) => {
                        assert_eq!(value, json!({"bytes": true}));
                        ended = true;
                    }
                    Step::More => {}
                    Step::Broken(reason) => panic!("{reason}"),
                }
            }
        }
        assert!(ended && got == content.as_bytes(), "{size}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-4000_i32..4000).prop_map(|n| serde_json::from_str(&format!(
            "{}.{}",
            n / 8,
            ["0", "125", "25", "375", "5"][n.unsigned_abs() as usize % 5]
        ))
        .unwrap()),
        "[ -~]{0,8}|\\PC{0,4}|[\"\\\\{}\\[\\],:\n]{0,6}".prop_map(Value::from),
        (MAX_TEXT - 2..MAX_TEXT + 3).prop_map(|length| Value::from("y".repeat(length))),
    ];
    let members = |inner: BoxedStrategy<Value>| {
        proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), inner, 0..6).prop_map(
            |members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            },
        )
    };
    let nested = scalar.boxed().prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => members(inner.boxed()),
        ]
    });
    members(nested.boxed())
}

/// JSON with blanks and escapes that need not be.
fn write(value: &Value, noise: &mut impl FnMut() -> u8, out: &mut String) {
    fn blank(noise: &mut impl FnMut() -> u8, out: &mut String) {
        out.push_str(["", "", "", " ", "\n", "\t\r\n"].get(usize::from(noise() % 8)).unwrap_or(&""));
    }
    fn string(text: &str, noise: &mut impl FnMut() -> u8, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            if noise().is_multiple_of(5) || character < ' ' || matches!(character, '"' | '\\') {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            } else {
                out.push(character);
            }
        }
        out.push('"');
    }
    blank(noise, out);
    match value {
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                write(item, noise, out);
            }
            blank(noise, out);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (n, (name, value)) in members.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                blank(noise, out);
                string(name, noise, out);
                blank(noise, out);
                out.push(':');
                write(value, noise, out);
            }
            blank(noise, out);
            out.push('}');
        }
        // Its length as it stands there decides.
        Value::String(text) if text.len() > 100 => out.push_str(&value.to_string()),
        Value::String(text) => string(text, noise, out),
        _ => out.push_str(&value.to_string()),
    }
    blank(noise, out);
}

fn written(value: &Value, seed: &[u8]) -> String {
    let mut at = 0;
    let mut noise = || {
        at += 1;
        seed.get(at % seed.len().max(1)).copied().unwrap_or(1)
    };
    let mut out = String::new();
    write(value, &mut noise, &mut out);
    out
}

/// Where to cut: any number of chunks, some of them empty.
fn cut<'a>(text: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut rest, mut chunks) = (text, Vec::new());
    for size in sizes.iter().cycle().take(if sizes.iter().sum::<usize>() == 0 { 0 } else { usize::MAX }) {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_document_gives_what_a_plain_filter_gives(
        values in proptest::collection::vec(value(), 1..4),
        seed in proptest::collection::vec(any::<u8>(), 1..40),
        sizes in proptest::collection::vec(0_usize..20, 1..6),
    ) {
        let mut text = String::new();
        let mut want = Vec::new();
        for value in &values {
            let one = written(value, &seed);
            let parsed: Value = serde_json::from_slice(one.as_bytes()).unwrap();
            prop_assert_eq!(&parsed, value);
            want.push(filter(&KEEP, &parsed).unwrap_or(Value::Null));
            text.push_str(&one);
        }
        prop_assert_eq!(scan(&[text.as_bytes()]), (want.clone(), None));
        prop_assert_eq!(scan(&cut(text.as_bytes(), &sizes)), (want.clone(), None));
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        prop_assert_eq!(scan(&bytes), (want.clone(), None));
        let list = format!("[{}]", values.iter().map(|value| written(value, &seed)).collect::<Vec<_>>().join(","));
        prop_assert_eq!(scan(&cut(list.as_bytes(), &sizes)), (want, None));
    }

    #[test]
    fn whatever_is_done_to_a_document_the_cuts_change_nothing(
        value in value(),
        seed in proptest::collection::vec(any::<u8>(), 1..40),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..4),
        sizes in proptest::collection::vec(0_usize..20, 1..6),
    ) {
        let mut text = written(&value, &seed).into_bytes();
        for (index, byte, kind) in edits {
            let at = index.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text[at] = WORDS[usize::from(byte) % WORDS.len()],
                2 => text.insert(at, WORDS[usize::from(byte) % WORDS.len()]),
                _ => drop(text.remove(at)),
            }
            if text.is_empty() {
                break;
            }
        }
        let whole = scan(&[&text]);
        prop_assert_eq!(scan(&cut(&text, &sizes)), whole.clone());
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(scan(&bytes), whole);
    }
}
