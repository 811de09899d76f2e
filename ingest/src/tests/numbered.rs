//! Submissions with a number: where it stands in the stream, and when it may not.

use serde_json::json;
use shared::sequence::SequenceMark;
use shared::stream::PutError;
use shared::wire::StreamRecord;

use super::{World, large};

const NUMBERED: [(&str, &str); 3] =
    [("idempotency-key", "k"), ("x-sender-id", "proxy-1"), ("x-sequence", "7")];

/// The marks of each put's records.
fn marks(world: &World) -> Vec<Vec<Option<SequenceMark>>> {
    let puts = world.stream.puts.lock().unwrap();
    let mark = |put: &shared::stream::PutRecord| StreamRecord::decode(&put.data).unwrap().mark;
    puts.iter().map(|put| put.iter().map(mark).collect()).collect()
}

#[tokio::test]
async fn the_number_is_put_after_everything_that_it_numbers() {
    let world = World::sound();
    let (status, _) = world.post(&NUMBERED, &large()).await;
    assert_eq!(status, 200);
    let marks = marks(&world);
    let [first, last] = marks.as_slice() else { panic!("two puts: {marks:?}") };
    assert!(first.len() > 1 && first.iter().all(Option::is_none), "{first:?}");
    let mark = last[0].as_ref().unwrap();
    assert_eq!((last.len(), mark.sender.sender.as_str(), mark.sequence), (1, "proxy-1", 7));
}

#[tokio::test]
async fn a_number_is_not_put_before_its_submission_is_durable() {
    let world = World::new(|_, n| if n == 0 { Err(PutError::Retry("full".to_owned())) } else { Ok(()) });
    let (status, problem) = world.post(&NUMBERED, &large()).await;
    assert_eq!(status, 503);
    assert!(marks(&world).iter().flatten().all(Option::is_none));
    let again = problem["send_again"].as_array().unwrap().len();
    let stored = problem["stored"].as_array().unwrap().len();
    assert_eq!(again + stored, 250, "what was not put is not stored");
}

#[tokio::test]
async fn one_record_carries_its_own_number() {
    let world = World::sound();
    let (status, _) = world.post(&NUMBERED, &json!({"agent_id": "a", "usage": {"input": 1}})).await;
    let marks = marks(&world);
    assert_eq!((status, marks.len(), marks[0].len()), (200, 1, 1));
    assert_eq!(marks[0][0].as_ref().unwrap().sequence, 7);
}

#[tokio::test]
async fn what_is_no_number_is_named_by_its_header() {
    let world = World::sound();
    let body = json!({"agent_id": "a", "usage": {"input": 1}});
    for (headers, field) in [
        (&[("x-sequence", "1")][..], "x-sender-id"),
        (&[("x-sender-id", "s"), ("x-sequence", "-1")], "x-sequence"),
        (&[("x-sender-id", "s"), ("x-sequence", "1.0")], "x-sequence"),
        (&[("x-sender-id", "s"), ("x-sequence", "+1")], "x-sequence"),
        (&[("x-sender-id", "s"), ("x-sequence", "")], "x-sequence"),
        (&[("x-sender-id", "s"), ("x-sequence", "9007199254740993")], "x-sequence"),
        (&[("x-sender-id", "a b"), ("x-sequence", "1")], "x-sender-id"),
        (&[("x-sender-id", "s"), ("x-sequence", "1"), ("x-sequence", "2")], "x-sequence"),
    ] {
        let (status, problem) = world.post(headers, &body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!(field)), "{headers:?}");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
    }
    let (status, _) = world.post(&[("x-sender-id", "s")], &body).await;
    assert_eq!((status, marks(&world)), (200, vec![vec![None]]));
}
