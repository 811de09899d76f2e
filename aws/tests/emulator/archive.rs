//! An archive in S3.

use aws::archive::{Archive, Location};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use shared::wire::StreamRecord;

use super::{config, name};

#[tokio::test]
#[ignore = "needs the emulator"]
async fn objects_are_listed_and_read_in_order() {
    let client = Client::new(&config().await);
    let bucket = name("archive");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let record = |at: &str| StreamRecord::new(at.parse().unwrap(), Vec::new()).encode().unwrap();
    let inside = record("2026-11-24T10:10:00Z");
    let objects = [
        ("raw/2026/11/24/10/a", [inside.clone(), b"\n".to_vec(), inside.clone()].concat()),
        ("raw/2026/11/24/10/b", b"broken".to_vec()),
        ("raw/2026/11/24/18/c", inside.clone()),
        ("raw/year=2026/month=11/day=24/hour=10/d", inside.clone()),
        ("other/2026/11/24/10/e", inside.clone()),
    ];
    for (key, body) in objects {
        client.put_object().bucket(&bucket).key(key).body(ByteStream::from(body)).send().await.unwrap();
    }
    let (from, to) = ("2026-11-24T10:00:00Z".parse().unwrap(), "2026-11-24T11:00:00Z".parse().unwrap());
    let location = Location::parse(&format!("s3://{bucket}/raw")).unwrap();
    let mut archive = Archive::new(location, client.clone(), from, to, 4);
    let mut found = Vec::new();
    while let Some(object) = archive.next().await.unwrap() {
        found.push((object.name, object.records.len(), object.unreadable.len()));
    }
    let expected = [
        ("raw/2026/11/24/10/a", 2, 0),
        ("raw/2026/11/24/10/b", 0, 1),
        ("raw/year=2026/month=11/day=24/hour=10/d", 1, 0),
    ];
    assert_eq!(found, expected.map(|(name, records, unreadable)| (name.to_owned(), records, unreadable)));

    let missing = Location::parse(&format!("s3://{}/raw", name("missing"))).unwrap();
    assert!(Archive::new(missing, client, from, to, 4).next().await.is_err());
}
