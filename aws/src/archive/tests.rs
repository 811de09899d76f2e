//! Archives as Firehose writes them, whole and damaged.

use std::io::Write;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_mocks::mock;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use proptest::prelude::*;
use shared::wire::StreamRecord;

use super::{Archive, ArchiveError, Location, MAX_OBJECT_BYTES, decode, layout};
use crate::mocks::mock_client;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ever() -> (Timestamp, Timestamp) {
    (Timestamp::UNIX_EPOCH, at("2999-01-01T00:00:00Z"))
}

fn record(received: &str) -> Vec<u8> {
    StreamRecord::new(at(received), Vec::new()).encode().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn datas(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<std::ops::Range<usize>>) {
    let (from, to) = ever();
    let object = decode::object("o".to_owned(), bytes, from, to, 4);
    let datas = object.records.into_iter().map(|r| r.kinesis.data.0).collect();
    (datas, object.unreadable.into_iter().map(|stretch| stretch.bytes).collect())
}

#[test]
fn locations() {
    let s3 =
        |bucket: &str, prefix: &str| Location::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    assert_eq!(Location::parse("s3://b/raw").unwrap(), s3("b", "raw/"));
    assert_eq!(Location::parse("s3://b/raw/").unwrap(), s3("b", "raw/"));
    assert_eq!(Location::parse("s3://b").unwrap(), s3("b", ""));
    assert_eq!(Location::parse("file:///tmp/a").unwrap(), Location::Path("/tmp/a".into()));
    assert_eq!(Location::parse("archive").unwrap(), Location::Path("archive".into()));
    for bad in ["", "s3://", "s3:///x", "https://x", "file://"] {
        assert!(Location::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn records_are_told_apart_with_and_without_newlines() {
    let (a, b) = (record("2026-11-24T00:00:00Z"), record("2026-11-24T00:00:01Z"));
    for between in ["", "\n", "\r\n", " \n\n "] {
        let bytes = [&a, between.as_bytes(), &b, between.as_bytes()].concat();
        assert_eq!(datas(&bytes), (vec![a.clone(), b.clone()], vec![]), "{between:?}");
    }
    assert_eq!(datas(b""), (vec![], vec![]));
    assert_eq!(datas(b"\n"), (vec![], vec![]));
}

#[test]
fn a_stretch_that_is_no_json_hides_nothing_behind_it() {
    let a = record("2026-11-24T00:00:00Z");
    // A record that broke off, then others without a newline; the second one's beginning is inside a string.
    let broken = &a[..a.len() - 8];
    let bytes = [broken, &a, b"\xff\xfe garbage {", &a, b"\n17 true\n", &a].concat();
    let (read, unreadable) = datas(&bytes);
    assert_eq!(read, vec![a.clone(); 3]);
    assert_eq!(unreadable.len(), 3, "{unreadable:?}");
    assert_eq!(unreadable[0], 0..broken.len());
}

#[test]
fn json_that_is_no_stream_record_goes_to_the_aggregator() {
    assert_eq!(datas(br#"{"x":1}{"v":99}"#).0, [&br#"{"x":1}"#[..], br#"{"v":99}"#]);
}

#[test]
fn only_what_was_received_in_between_is_taken() {
    let all = ["2026-11-24T09:59:59Z", "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"].map(record);
    let bytes = all.concat();
    let (from, to) = (at("2026-11-24T10:00:00Z"), at("2026-11-24T11:00:00Z"));
    let object = decode::object("k".to_owned(), &bytes, from, to, 4);
    let [one] = object.records.as_slice() else { panic!("{object:?}") };
    assert_eq!(one.kinesis.data.0, all[1]);
    assert_eq!(one.event_id.as_deref(), Some(&*format!("archive:k:{}", all[0].len())));
}

#[test]
fn gzip_is_told_by_its_first_bytes_and_bounded() {
    let bytes = record("2026-11-24T00:00:00Z");
    assert_eq!(decode::inflate(bytes.clone(), 1_000).unwrap(), bytes);
    assert_eq!(decode::inflate(gzip(&bytes), 1_000).unwrap(), bytes);
    let twice = [gzip(&bytes), gzip(&bytes)].concat();
    assert_eq!(decode::inflate(twice, 1_000).unwrap(), bytes.repeat(2));
    let bomb = gzip(&vec![0; 100_000]);
    assert!(decode::inflate(bomb, 1_000).unwrap_err().contains("larger than 1000 bytes"));
    let mut cut = gzip(&bytes.repeat(1_000));
    cut.truncate(cut.len() - 12);
    let inflated = decode::inflate(cut, MAX_OBJECT_BYTES).unwrap();
    let (read, unreadable) = datas(&inflated);
    assert!(!read.is_empty() && !unreadable.is_empty(), "{} {unreadable:?}", read.len());
    assert!(decode::inflate(vec![0x1f, 0x8b, 1, 2], 1_000).is_err());
}

#[test]
fn objects_are_chosen_by_the_hour_in_their_names() {
    let hours = layout::Hours::of(at("2026-11-24T10:30:00Z"), at("2026-11-24T11:00:00Z"));
    let names = [
        ("raw/2026/11/24/09/f-1", true),
        ("raw/2026/11/24/08/f-1", false),
        ("raw/2026/11/24/11/f-1", true),
        ("raw/2026/11/24/12/f-1", false),
        ("year=2026/month=11/day=24/hour=10/f", true),
        ("year=2026/month=11/day=24/hour=15/f", false),
        ("2025/01/01/00/2026/11/24/10/f", true),
        ("no/layout", true),
        ("2026/13/24/10/f", true),
    ];
    for (name, holds) in names {
        assert_eq!(hours.holds(name), holds, "{name}");
    }
}

fn no_client() -> Client {
    mock_client!(aws_sdk_s3, [])
}

#[tokio::test]
async fn a_bucket_is_listed_by_day_and_read_object_by_object() {
    let object = |key: &str| aws_sdk_s3::types::Object::builder().key(key).build();
    let first = mock!(Client::list_objects_v2)
        .match_requests(|r| r.prefix() == Some("raw/2026/11/24/") && r.continuation_token().is_none())
        .then_output(move || {
            ListObjectsV2Output::builder()
                .contents(object("raw/2026/11/24/01/old"))
                .contents(object("raw/2026/11/24/10/a"))
                .next_continuation_token("more")
                .build()
        });
    let second = mock!(Client::list_objects_v2)
        .match_requests(|r| r.continuation_token() == Some("more"))
        .then_output(move || ListObjectsV2Output::builder().contents(object("raw/2026/11/24/10/b")).build());
    let none = mock!(Client::list_objects_v2).then_output(|| ListObjectsV2Output::builder().build());
    let one = record("2026-11-24T10:10:00Z");
    let body = gzip(&one);
    let get = mock!(Client::get_object)
        .match_requests(|r| r.key() == Some("raw/2026/11/24/10/a"))
        .sequence()
        .http_status(503, None)
        .output(move || GetObjectOutput::builder().body(ByteStream::from(body.clone())).build())
        .build();
    let large = mock!(Client::get_object)
        .match_requests(|r| r.key() == Some("raw/2026/11/24/10/b"))
        .then_output(|| GetObjectOutput::builder().body(ByteStream::from(vec![b' '; 2_000])).build());
    let client = mock_client!(aws_sdk_s3, [&first, &second, &none, &get, &large]);
    let (from, to) = (at("2026-11-24T10:00:00Z"), at("2026-11-24T11:00:00Z"));
    let location = Location::parse("s3://bucket/raw").unwrap();
    let mut archive = Archive::new(location, client, from, to, 4).with_limit(1_000);
    let object = archive.next().await.unwrap().unwrap();
    assert_eq!(object.name, "raw/2026/11/24/10/a");
    assert_eq!(object.records[0].kinesis.data.0, one);
    let error = archive.next().await.unwrap_err();
    assert!(matches!(&error, ArchiveError::Object { name, .. } if name.ends_with("/b")), "{error}");
    assert_eq!(archive.next().await, Ok(None));
}

#[tokio::test]
async fn a_directory_is_read_like_a_bucket_and_can_be_gone_on_with() {
    let root = std::env::temp_dir().join(format!("archive-{}", fastrand::u64(..)));
    let hour = root.join("2026/11/24/10");
    std::fs::create_dir_all(&hour).unwrap();
    std::fs::create_dir_all(root.join("2026/11/23/10")).unwrap();
    let one = record("2026-11-24T10:10:00Z");
    std::fs::write(hour.join("a"), &one).unwrap();
    std::fs::write(hour.join("b.gz"), gzip(&one)).unwrap();
    std::fs::write(root.join("2026/11/23/10/c"), &one).unwrap();
    let (from, to) = (at("2026-11-24T10:00:00Z"), at("2026-11-24T11:00:00Z"));
    let open = |location: &std::path::Path| {
        Archive::new(Location::Path(location.to_owned()), no_client(), from, to, 4)
    };
    let mut archive = open(&root);
    let a = archive.next().await.unwrap().unwrap();
    let b = archive.next().await.unwrap().unwrap();
    assert!(a.name.ends_with("/a") && b.name.ends_with("/b.gz"), "{} {}", a.name, b.name);
    assert_eq!(archive.next().await, Ok(None));
    let mut later = open(&root).after(Some(a.name.clone()));
    assert_eq!(later.next().await.unwrap().unwrap().name, b.name);
    let mut single = open(&hour.join("a"));
    assert_eq!(single.next().await.unwrap().unwrap().records.len(), 1);
    assert!(open(&root.join("missing")).next().await.is_err());
    std::fs::remove_dir_all(&root).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_reported(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(record("2026-11-24T10:10:00Z")),
                Just(b"\n".to_vec()),
                prop::collection::vec(any::<u8>(), 0..40),
                "[\\{\\}\":,v1 \\[\\]]{0,20}".prop_map(String::into_bytes),
            ],
            0..12,
        )
    ) {
        let bytes = pieces.concat();
        let (from, to) = ever();
        let object = decode::object("o".to_owned(), &bytes, from, to, 3);
        let read: usize = object.records.iter().map(|r| r.kinesis.data.0.len()).sum();
        let stretches: usize = object.unreadable.iter().map(|stretch| stretch.bytes.len()).sum();
        let blank = bytes.iter().filter(|b| b.is_ascii_whitespace()).count();
        prop_assert!(read + stretches <= bytes.len());
        prop_assert!(read + stretches + blank >= bytes.len(), "every byte is read, reported or blank");
    }
}
