//! The handler itself asks for a token: no host stands before it on AWS.

use std::sync::Arc;

use auth::{AUDIENCE, Access, AgentPattern, Claims, Role, SecretKey, Verifier, sign};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::event::Body;
use shared::id::TeamId;
use shared::wire::Entry;

use super::World;

struct Tokens {
    world: World,
    key: SecretKey,
}

fn tokens() -> Tokens {
    let mut world = World::sound();
    let key = SecretKey::generate().unwrap();
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let verifier = Arc::new(Verifier::new(vec![key.public()], AUDIENCE.to_owned(), clock));
    world.ingest.access = Access::tokens(verifier);
    Tokens { world, key }
}

impl Tokens {
    fn bearer(&self, role: Role, agents: &[&str], team: Option<&str>) -> String {
        let agents = agents.iter().map(|agent| AgentPattern::parse(agent).unwrap()).collect();
        let team = team.map(|team| TeamId::parse(team).unwrap());
        let claims = Claims::new(role, agents, team, AUDIENCE, self.world.clock.now(), 1).unwrap();
        format!("Bearer {}", sign(&claims, &self.key).unwrap())
    }

    async fn post(&self, bearer: &str, body: &Value) -> (i64, Value) {
        self.world.post(&[("authorization", bearer), ("idempotency-key", "k")], body).await
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_put() {
    let tokens = tokens();
    let body = json!({"agent_id": "a", "usage": {"input": 1}});
    let (status, problem) = tokens.world.post(&[("idempotency-key", "k")], &body).await;
    assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")));
    for (bearer, wanted) in [
        (tokens.bearer(Role::Read, &[], None), (403, "forbidden")),
        (tokens.bearer(Role::Admin, &[], None), (403, "forbidden")),
        (tokens.bearer(Role::Ingest, &["b"], None), (403, "agent_not_allowed")),
    ] {
        let (status, problem) = tokens.post(&bearer, &body).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), wanted);
    }
    assert!(tokens.world.entries().is_empty());
}

#[tokio::test]
async fn what_is_sent_has_the_tokens_team_and_its_one_agent() {
    let tokens = tokens();
    let bearer = tokens.bearer(Role::Ingest, &["writer"], Some("growth"));
    let body = json!({"events": [
        {"usage": {"input": 1}},
        {"usage": {"input": 1}, "team_id": "growth"},
        {"type": "task_outcome", "task_id": "t", "outcome": "success"},
        {"type": "void", "corrects": "x"},
    ]});
    let (status, receipt) = tokens.post(&bearer, &body).await;
    assert_eq!(status, 200, "{receipt}");
    let entries = tokens.world.entries();
    let [Entry::Part(part)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(part.agent.as_str(), "writer");
    let growth = TeamId::parse("growth").unwrap();
    assert!(part.events.iter().all(|(_, event)| event.team_id.as_ref() == Some(&growth)));
    assert!(part.outcomes.iter().all(|(_, outcome)| outcome.team_id.as_ref() == Some(&growth)));
    assert!(matches!(part.corrections.as_slice(), [(3, Body::Void(_))]));
}

#[tokio::test]
async fn an_event_of_another_agent_is_not_taken_for_the_tokens_own() {
    let tokens = tokens();
    let bearer = tokens.bearer(Role::Ingest, &["writer"], None);
    let body = json!({"events": [{"usage": {"input": 1}}, {"agent_id": "other", "usage": {"input": 1}}]});
    let (status, problem) = tokens.post(&bearer, &body).await;
    assert_eq!((status, &problem["code"]), (403, &json!("agent_not_allowed")), "{problem}");
    assert_eq!(
        problem["errors"],
        json!([{"index": 1, "field": "agent_id",
        "reason": "is other, which the token may not write for; use a token of this agent"}])
    );
    assert!(tokens.world.entries().is_empty(), "nothing of it was accepted");
}

#[tokio::test]
async fn a_subject_is_held_to_the_token_and_a_source_is_only_where_it_came_from() {
    let tokens = tokens();
    let bearer = tokens.bearer(Role::Ingest, &["writer"], None);
    let event = |subject: Value| {
        json!({"specversion": "1.0", "id": "e", "source": "/runners/7", "type": "usage", "subject": subject,
            "data": {"usage": {"input": 1}}})
    };
    let (status, problem) = tokens.post(&bearer, &event(json!("other"))).await;
    assert_eq!((status, &problem["code"]), (403, &json!("agent_not_allowed")), "{problem}");
    for subject in [json!("writer"), Value::Null] {
        assert_eq!(tokens.post(&bearer, &event(subject)).await.0, 200);
    }
    assert!(tokens.world.entries().iter().all(|entry| entry.agent().as_str() == "writer"));
}

#[tokio::test]
async fn a_sender_is_of_its_tokens_team() {
    let tokens = tokens();
    let body = json!({"usage": {"input": 1}});
    for team in [Some("growth"), None] {
        let bearer = tokens.bearer(Role::Ingest, &["writer"], team);
        let headers = [("authorization", bearer.as_str()), ("x-sender-id", "s"), ("x-sequence", "1")];
        assert_eq!(tokens.world.post(&headers, &body).await.0, 200);
    }
    let puts = tokens.world.stream.puts.lock().unwrap();
    let team = |put: &shared::stream::PutRecord| {
        let mark = shared::wire::StreamRecord::decode(&put.data).unwrap().mark.unwrap();
        mark.sender.team.map(String::from)
    };
    let teams: Vec<_> = puts.iter().flatten().map(team).collect();
    assert_eq!(teams, [Some("growth".to_owned()), None], "no other team can fill its gaps");
}
