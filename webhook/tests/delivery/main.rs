//! Deliveries over real sockets: signed, retried, refused, and never with a secret in the log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the tests of the pipeline")]
mod receiver;
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use receiver::{Receiver, Say};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::delivery::{Failure, Outcome};
use support::{KEY, OLD_KEY, World, alert, logged};

/// HMAC by its definition, so that the crate's own use of a library is not tested by the same library.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

#[test]
fn a_delivery_is_signed_by_every_secret_and_says_what_the_list_says() {
    let receiver = Receiver::start(vec![Say::status(204)]);
    let world = World::new(&receiver.url());
    let alert = alert(1);
    world.notify(&alert).unwrap();

    let sent = receiver.sent().pop().unwrap();
    let header = |name: &str| sent.headers.get(name).cloned().unwrap_or_default();
    assert_eq!(sent.path, "/hook/PATHSECRET?token=QUERYSECRET");
    assert_eq!(
        (header("webhook-id"), header("content-type")),
        (alert.id.clone(), "application/json".to_owned())
    );
    assert!(header("user-agent").starts_with("agentledger/"));
    assert_eq!(header("webhook-timestamp"), support::now().as_second().to_string());
    let signed = format!("{}.{}.{}", alert.id, header("webhook-timestamp"), sent.body);
    let by = |key: [u8; 32]| format!("v1,{}", STANDARD.encode(hmac_sha256(&key, signed.as_bytes())));
    assert_eq!(header("webhook-signature"), format!("{} {}", by(KEY), by(OLD_KEY)));

    let body: Value = serde_json::from_str(&sent.body).unwrap();
    let mut data = serde_json::to_value(&alert).unwrap();
    data["text"] = json!(alert.text().to_string());
    assert_eq!(body, json!({"type": "agentledger.alert", "timestamp": alert.at, "data": data}));

    let noted = world.noted();
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].alert_id.clone(), noted[0].attempt), (alert.id, 1));
    assert_eq!(noted[0].outcome, Outcome::Status(204));
    assert_eq!(noted[0].target, format!("http://{}", receiver.address));
}

#[test]
fn what_passes_is_tried_again_under_the_same_id() {
    let busy = |seconds: u32| Say::Status(429, format!("retry-after: {seconds}\r\n"));
    for first in [Say::status(500), Say::status(503), Say::HangUp, busy(0)] {
        let receiver = Receiver::start(vec![first, Say::status(200)]);
        let world = World::new(&receiver.url());
        world.notify(&alert(1)).unwrap();
        let sent = receiver.sent();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].headers["webhook-id"], sent[1].headers["webhook-id"]);
        assert_eq!(sent[0].body, sent[1].body);
        let attempts: Vec<u32> = world.noted().iter().map(|noted| noted.attempt).collect();
        assert_eq!(attempts, [1, 2]);
    }
    // Who asks for more patience than there is gets a rest instead.
    let receiver = Receiver::start(vec![busy(3_600), Say::status(200)]);
    let world = World::new(&receiver.url());
    assert!(world.notify(&alert(1)).is_err());
    assert!(world.notify(&alert(1)).unwrap_err().to_string().contains("left alone"));
    assert_eq!(receiver.sent().len(), 1);
}

#[test]
fn a_round_ends_after_a_few_attempts_and_the_receiver_gets_a_rest() {
    let receiver = Receiver::start(vec![Say::status(500)]);
    let world = World::new(&receiver.url());
    let error = world.notify(&alert(1)).unwrap_err().to_string();
    assert!(error.contains("answered 500"), "{error}");
    assert_eq!(receiver.sent().len(), 3);
    let began = Instant::now();
    assert!(world.notify(&alert(2)).is_err());
    assert!(began.elapsed() < Duration::from_millis(50), "the next fails at once");
    assert_eq!(receiver.sent().len(), 3, "without an attempt");
    receiver.now_say(vec![Say::status(200)]);
    std::thread::sleep(support::REST);
    world.notify(&alert(2)).unwrap();
    assert_eq!(world.noted().len(), 4);
}

#[test]
fn what_is_refused_is_not_tried_again_and_keeps_no_other_alert_away() {
    for (status, words) in [(400, "refuses"), (404, "refuses"), (410, "no more alerts")] {
        let receiver = Receiver::start(vec![Say::status(status), Say::status(200)]);
        let world = World::new(&receiver.url());
        let ((), log) = logged(|| assert!(world.notify(&alert(1)).is_err()));
        assert!(log.contains("ERROR") && log.contains(words), "{log}");
        assert_eq!(receiver.sent().len(), 1);
        world.notify(&alert(2)).unwrap();
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(vec![Say::status(200)]);
    for status in [301, 302, 303, 307, 308] {
        let to = format!("location: http://{}/\r\n", elsewhere.address);
        let receiver = Receiver::start(vec![Say::Status(status, to)]);
        let world = World::new(&receiver.url());
        assert!(world.notify(&alert(1)).is_err());
        assert_eq!(receiver.sent().len(), 1);
        assert_eq!(world.noted()[0].outcome, Outcome::Status(status));
    }
    assert!(elsewhere.sent().is_empty());
}

#[test]
fn a_slow_receiver_costs_one_time_out() {
    let receiver = Receiver::start(vec![Say::Silence(Duration::from_secs(20))]);
    let world = World::new(&receiver.url());
    let began = Instant::now();
    for n in 1..10 {
        assert!(world.notify(&alert(n)).is_err());
    }
    assert!(began.elapsed() < support::TIMEOUT * 3, "{:?}", began.elapsed());
    let outcomes: Vec<_> = world.noted().iter().map(|noted| noted.outcome).collect();
    assert_eq!(outcomes, [Outcome::Error(Failure::Timeout)]);
}

#[test]
fn names_that_lead_to_refused_addresses_are_not_connected_to() {
    for address in
        ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0", "224.0.0.1", "[::ffff:a9fe:a9fe]"]
    {
        let resolved: SocketAddr = format!("{address}:443").parse().unwrap();
        // One bad address is enough, also beside a good one.
        for all in [vec![resolved], vec!["127.0.0.1:9".parse().unwrap(), resolved]] {
            let world = World::resolving("https://hooks.example/x", all);
            let ((), log) = logged(|| assert!(world.notify(&alert(1)).is_err()));
            assert!(log.contains("metadata address"), "{log}");
            let noted = world.noted();
            assert_eq!(noted.len(), 1);
            assert_eq!(noted[0].outcome, Outcome::Error(Failure::RefusedAddress), "{address}");
        }
    }
}

#[test]
fn a_name_is_looked_up_and_checked_for_each_delivery() {
    let receiver = Receiver::start(vec![Say::HangUp]);
    let world = World::resolving("https://hooks.example/x", vec![receiver.address]);
    assert!(world.notify(&alert(1)).is_err());
    world.lead_to(vec!["169.254.169.254:443".parse().unwrap()]);
    std::thread::sleep(support::REST);
    assert!(world.notify(&alert(1)).is_err());
    let last = world.noted().pop().unwrap();
    assert_eq!(last.outcome, Outcome::Error(Failure::RefusedAddress));
}

#[test]
fn errors_have_their_class() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::new(&format!("http://{closed}/"));
    assert!(world.notify(&alert(1)).is_err());
    assert_eq!(world.noted()[0].outcome, Outcome::Error(Failure::Connection));

    // Plain HTTP where TLS is wanted.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"HTTP/1.1 400 X\r\n\r\n");
        }
    });
    let world = World::new(&format!("https://{address}/"));
    let ((), log) = logged(|| assert!(world.notify(&alert(1)).is_err()));
    assert_eq!(world.noted()[0].outcome, Outcome::Error(Failure::Tls), "{log}");

    let world = World::new("https://no-such-host.invalid/");
    assert!(world.notify(&alert(1)).is_err());
    assert_eq!(world.noted()[0].outcome, Outcome::Error(Failure::NameNotFound));
}

#[test]
fn no_secret_is_in_the_log_or_in_what_is_noted() {
    let secrets = [STANDARD.encode(KEY), STANDARD.encode(OLD_KEY)];
    for say in [
        Say::status(200),
        Say::status(500),
        Say::status(404),
        Say::HangUp,
        Say::Status(307, "location: /x\r\n".to_owned()),
    ] {
        let receiver = Receiver::start(vec![say]);
        let world = World::new(&receiver.url());
        let (said, log) = logged(|| match world.notify(&alert(1)) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        });
        let noted = serde_json::to_string(&world.noted()).unwrap();
        let signature = receiver.sent()[0].headers["webhook-signature"].clone();
        let all = format!("{log}{said}{noted}{world:?}");
        let hidden = secrets.iter().map(String::as_str);
        for secret in hidden.chain(["PATHSECRET", "QUERYSECRET", "BODYSECRET", "whsec_", &signature[3..20]]) {
            assert!(!all.contains(secret), "{secret}: {all}");
        }
    }
}
