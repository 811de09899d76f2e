//! Tokens that hold, and every way in which one does not.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::clock::Clock;
use shared::id::TokenId;
use shared::revocation::Revocation;

use crate::{
    AUDIENCE, Access, AgentPattern, Caller, Claims, ClaimsError, MAX_TOKEN_BYTES, Role, SecretKey,
    TokenError, Verifier, sign,
};

const NOW: i64 = 1_793_526_000;

struct Hand(Mutex<i64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(*self.0.lock().unwrap()).unwrap()
    }
}

struct World {
    key: SecretKey,
    clock: Arc<Hand>,
    verifier: Arc<Verifier>,
}

fn world() -> World {
    let key = SecretKey::generate().unwrap();
    let clock = Arc::new(Hand(Mutex::new(NOW)));
    let verifier =
        Verifier::new(vec![key.public()], AUDIENCE.to_owned(), Arc::clone(&clock) as Arc<dyn Clock>);
    World { key, clock, verifier: Arc::new(verifier) }
}

fn claims(days: u32) -> Claims {
    let now = Timestamp::from_second(NOW).unwrap();
    let agents = vec![AgentPattern::parse("writer-*").unwrap()];
    Claims::new(Role::Ingest, agents, None, AUDIENCE, now, days).unwrap()
}

impl World {
    fn verify(&self, token: &str) -> Result<(), TokenError> {
        self.verifier.verify(token).map(drop)
    }

    fn header(&self) -> Value {
        json!({"alg": "EdDSA", "kid": self.key.public().id().as_str(), "typ": "JWT"})
    }

    /// A token of this header and payload, rightly signed by our own key.
    fn forge(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", B64.encode(header), B64.encode(payload));
        format!("{signed}.{}", B64.encode(self.key.sign(signed.as_bytes())))
    }

    fn set_clock(&self, now: i64) {
        *self.clock.0.lock().unwrap() = now;
    }
}

fn payload() -> Value {
    serde_json::to_value(claims(30)).unwrap()
}

fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..secret.len()].copy_from_slice(secret);
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

#[test]
fn what_was_signed_is_what_is_read() {
    let world = world();
    let claims = claims(30);
    let token = sign(&claims, &world.key).unwrap();
    assert!(token.len() < 700, "{}", token.len());
    assert_eq!(world.verifier.verify(&token).unwrap().claims, claims);
    // The order of members is the maker's.
    let header = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{}"}}"#, world.key.public().id());
    assert_eq!(world.verify(&world.forge(&header, &payload().to_string())), Ok(()));
}

#[test]
fn only_one_header_is_accepted() {
    let world = world();
    let with = |name: &str, value: Value| {
        let mut header = world.header();
        header[name] = value;
        world.forge(&header.to_string(), &payload().to_string())
    };
    let without = |name: &str| {
        let mut header = world.header();
        header.as_object_mut().unwrap().remove(name);
        world.forge(&header.to_string(), &payload().to_string())
    };
    for (token, error) in [
        (with("alg", json!("none")), TokenError::Algorithm),
        (with("alg", json!("None")), TokenError::Algorithm),
        (with("alg", json!("HS256")), TokenError::Algorithm),
        (with("alg", json!("Ed25519")), TokenError::Algorithm),
        (with("alg", json!("eddsa")), TokenError::Algorithm),
        (with("alg", json!(["EdDSA"])), TokenError::Header),
        (with("typ", json!("at+jwt")), TokenError::Header),
        (with("typ", json!("jwt")), TokenError::Header),
        (with("crit", json!([])), TokenError::Header),
        (with("jwk", json!({})), TokenError::Header),
        (with("x5u", json!("https://evil.example")), TokenError::Header),
        (with("kid", json!("another")), TokenError::UnknownKey),
        (with("kid", json!("../../dev/null")), TokenError::UnknownKey),
        (with("kid", json!(null)), TokenError::Header),
        (without("alg"), TokenError::Header),
        (without("kid"), TokenError::Header),
        (without("typ"), TokenError::Header),
        (world.forge("[]", &payload().to_string()), TokenError::Header),
        (world.forge("", &payload().to_string()), TokenError::Header),
        (
            world.forge(
                &world.header().to_string().replace("{\"alg\"", "{\"alg\":\"none\",\"alg\""),
                &payload().to_string(),
            ),
            TokenError::Header,
        ),
    ] {
        assert_eq!(world.verify(&token), Err(error), "{token}");
    }
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let world = world();
    for header in
        [json!({"alg": "HS256", "kid": world.key.public().id().as_str(), "typ": "JWT"}), world.header()]
    {
        let signed = format!("{}.{}", B64.encode(header.to_string()), B64.encode(payload().to_string()));
        let mac = hmac(world.key.public().as_bytes(), signed.as_bytes());
        assert!(world.verify(&format!("{signed}.{}", B64.encode(mac))).is_err());
    }
}

#[test]
fn the_signature_is_of_this_key_over_this_content() {
    let world = world();
    let token = sign(&claims(30), &world.key).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let other = SecretKey::generate().unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    let foreign = format!("{signed}.{}", B64.encode(other.sign(signed.as_bytes())));
    assert_eq!(world.verify(&foreign), Err(TokenError::Signature), "another key under our name");
    let unknown = sign(&claims(30), &other).unwrap();
    assert_eq!(world.verify(&unknown), Err(TokenError::UnknownKey));
    let mut admin = payload();
    admin["role"] = json!("admin");
    let altered = format!("{}.{}.{}", parts[0], B64.encode(admin.to_string()), parts[2]);
    assert_eq!(world.verify(&altered), Err(TokenError::Signature));
    let stripped = format!("{}.{}.", parts[0], parts[1]);
    assert_eq!(world.verify(&stripped), Err(TokenError::Signature));
    let zeros = format!("{signed}.{}", B64.encode([0; 64]));
    assert_eq!(world.verify(&zeros), Err(TokenError::Signature));
    // The same scalar, written otherwise: S + L verifies where the check is not strict.
    let mut signature = B64.decode(parts[2]).unwrap();
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(world.verify(&format!("{signed}.{}", B64.encode(signature))), Err(TokenError::Signature));
    assert_eq!(world.verify(&token), Ok(()));
}

#[test]
fn what_is_no_token_says_so() {
    let world = world();
    let token = sign(&claims(30), &world.key).unwrap();
    for (text, error) in [
        (String::new(), TokenError::Malformed),
        ("secret".to_owned(), TokenError::Malformed),
        ("..".to_owned(), TokenError::Header),
        ("a.b".to_owned(), TokenError::Malformed),
        (format!("{token}.x"), TokenError::Malformed),
        (format!("x.{token}"), TokenError::Malformed),
        (format!("{token}="), TokenError::Malformed),
        (format!("{token},{token}"), TokenError::Malformed),
        (token.replace('.', " ."), TokenError::Malformed),
        ("x".repeat(MAX_TOKEN_BYTES + 1), TokenError::TooLong),
        (format!("{token}{}", "A".repeat(MAX_TOKEN_BYTES)), TokenError::TooLong),
    ] {
        assert_eq!(world.verify(&text), Err(error), "{text:.80}");
    }
    assert_eq!(world.verifier.signatures(), 0, "no signature is verified of what has no form");
}

#[test]
fn what_it_says_is_read_strictly() {
    let world = world();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut payload = payload();
        change(&mut payload);
        world.verify(&world.forge(&world.header().to_string(), &payload.to_string()))
    };
    let set =
        |name: &'static str, value: Value| with(&move |payload: &mut Value| payload[name] = value.clone());
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(set("nbf", json!(1)), Err(TokenError::Unreadable), "a limit that is not known is not ignored");
    assert_eq!(set("role", json!("root")), Err(TokenError::Unreadable));
    assert_eq!(set("role", json!("Ingest")), Err(TokenError::Unreadable));
    assert_eq!(set("exp", json!(1.5)), Err(TokenError::Unreadable));
    assert_eq!(set("exp", json!("9")), Err(TokenError::Unreadable));
    assert_eq!(set("agents", json!("*")), Err(TokenError::Unreadable));
    assert_eq!(set("agents", json!(["a b"])), Err(TokenError::Unreadable));
    assert_eq!(set("jti", json!("")), Err(TokenError::Unreadable));
    assert_eq!(set("team", json!("a b")), Err(TokenError::Unreadable));
    assert_eq!(set("aud", json!([AUDIENCE, "other"])), Err(TokenError::Unreadable));
    assert_eq!(set("aud", json!("other")), Err(TokenError::Audience));
    assert_eq!(set("aud", json!("")), Err(TokenError::Contradiction(ClaimsError::Audience)));
    assert_eq!(set("agents", json!([])), Err(TokenError::Contradiction(ClaimsError::NoAgents)));
    assert_eq!(
        set("agents", json!(vec!["a"; 17])),
        Err(TokenError::Contradiction(ClaimsError::TooManyAgents))
    );
    assert_eq!(set("role", json!("read")), Err(TokenError::Contradiction(ClaimsError::AgentsOfReader)));
    for name in ["jti", "aud", "role", "iat", "exp"] {
        let gone = with(&|payload: &mut Value| drop(payload.as_object_mut().unwrap().remove(name)));
        assert_eq!(gone, Err(TokenError::Unreadable), "{name}");
    }
    let twice = payload().to_string().replace("{\"", "{\"role\":\"admin\",\"");
    let twice = world.forge(&world.header().to_string(), &twice);
    assert_eq!(world.verify(&twice), Err(TokenError::Unreadable), "one name, one value");
}

#[test]
fn time_has_two_ends() {
    let world = world();
    let at = |iat: i64, exp: i64| {
        let mut payload = payload();
        payload["iat"] = json!(iat);
        payload["exp"] = json!(exp);
        world.verify(&world.forge(&world.header().to_string(), &payload.to_string()))
    };
    let ninety = 90 * 86_400;
    assert_eq!(at(NOW, NOW + ninety), Ok(()));
    assert_eq!(at(NOW, NOW + ninety + 1), Err(TokenError::Lifetime));
    assert_eq!(at(NOW - 10, NOW + 1), Ok(()));
    assert_eq!(at(NOW - 10, NOW), Err(TokenError::Expired));
    assert_eq!(at(NOW + 60, NOW + 90), Ok(()));
    assert_eq!(at(NOW + 61, NOW + 90), Err(TokenError::Ahead));
    assert_eq!(at(NOW, NOW), Err(TokenError::Lifetime));
    assert_eq!(at(NOW + 30, NOW + 10), Err(TokenError::Lifetime));
    assert_eq!(at(i64::MIN, i64::MAX), Err(TokenError::Lifetime));
    assert_eq!(at(i64::MAX, i64::MIN), Err(TokenError::Lifetime));
    assert_eq!(at(i64::MAX - 5, i64::MAX), Err(TokenError::Ahead));
}

#[test]
fn a_signature_is_verified_once_and_the_rest_every_time() {
    let world = world();
    let claims = claims(1);
    let token = sign(&claims, &world.key).unwrap();
    for _ in 0..5 {
        assert_eq!(world.verify(&token), Ok(()));
    }
    assert_eq!(world.verifier.signatures(), 1);
    world.set_clock(claims.exp);
    assert_eq!(world.verify(&token), Err(TokenError::Expired));
    world.set_clock(NOW);
    assert_eq!(world.verify(&token), Ok(()));
    let new = SecretKey::generate().unwrap();
    world.verifier.set_keys(vec![new.public()]);
    assert_eq!(world.verify(&token), Err(TokenError::UnknownKey), "its key is gone");
    world.verifier.set_keys(vec![new.public(), world.key.public()]);
    assert_eq!(world.verify(&token), Ok(()));
    assert_eq!(world.verify(&sign(&claims, &new).unwrap()), Ok(()), "both keys hold at a time");
    let revocation = Revocation {
        jti: claims.jti.clone(),
        until: Timestamp::from_second(claims.exp).unwrap(),
        at: Timestamp::from_second(NOW).unwrap(),
        reason: None,
    };
    world.verifier.revoke([&revocation]);
    assert_eq!(world.verify(&token), Err(TokenError::Revoked));
    world.verifier.revoke([]);
    assert_eq!(world.verify(&token), Err(TokenError::Revoked), "an older list takes nothing back");
    assert_eq!(world.verifier.signatures(), 2);
}

#[test]
fn a_revocation_is_forgotten_only_when_its_token_is_over() {
    let world = world();
    let claims = claims(90);
    let token = sign(&claims, &world.key).unwrap();
    let revoked = |jti: &TokenId, until: i64| Revocation {
        jti: jti.clone(),
        until: Timestamp::from_second(until).unwrap(),
        at: Timestamp::from_second(NOW).unwrap(),
        reason: None,
    };
    world.verifier.revoke([&revoked(&claims.jti, claims.exp)]);
    world.set_clock(claims.exp - 1);
    world.verifier.revoke([&revoked(&TokenId::parse("other").unwrap(), NOW)]);
    assert_eq!(world.verify(&token), Err(TokenError::Revoked));
}

#[test]
fn the_cache_is_bounded_and_holds_no_refused_token() {
    let world = world();
    let refused = format!("{}x", sign(&claims(1), &world.key).unwrap());
    assert!(world.verify(&refused).is_err());
    assert_eq!(world.verifier.cached(), 0);
    let used = sign(&claims(1), &world.key).unwrap();
    for _ in 0..10_000 {
        let token = sign(&claims(1), &world.key).unwrap();
        assert_eq!(world.verify(&token), Ok(()));
        assert_eq!(world.verify(&used), Ok(()));
    }
    assert!(world.verifier.cached() <= 8192, "{}", world.verifier.cached());
    assert_eq!(world.verifier.signatures(), 10_001, "what is in use is kept");
}

#[test]
fn there_is_exactly_one_header_with_a_bearer_token() {
    let world = world();
    let token = sign(&claims(1), &world.key).unwrap();
    let access = Access::tokens(Arc::clone(&world.verifier));
    let caller = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        access.caller(&headers).map(|caller| matches!(caller, Caller::Token(_)))
    };
    let good = format!("Bearer {token}");
    assert_eq!(caller(&[&good]), Ok(true));
    assert_eq!(caller(&[&format!("bearer  {token} ")]), Ok(true));
    assert_eq!(caller(&[]), Err(TokenError::Missing));
    assert_eq!(caller(&[&good, &good]), Err(TokenError::Several));
    assert_eq!(caller(&[&good, "Basic x"]), Err(TokenError::Several));
    assert_eq!(caller(&[&format!("Basic {token}")]), Err(TokenError::NotBearer));
    assert_eq!(caller(&[&token]), Err(TokenError::NotBearer));
    assert_eq!(caller(&["Bearer"]), Err(TokenError::NotBearer));
    assert_eq!(caller(&["Bearer "]), Err(TokenError::NotBearer));
    assert_eq!(caller(&["Bearer é"]), Err(TokenError::NotBearer));
    // As API Gateway joins two headers.
    assert_eq!(caller(&[&format!("{good},{good}")]), Err(TokenError::Malformed));
    let open = Access::open().caller(&HeaderMap::new());
    assert!(matches!(open, Ok(Caller::Local)));
}

#[test]
fn an_answer_holds_nothing_of_the_token() {
    let world = world();
    let token = sign(&claims(1), &world.key).unwrap();
    let mut wrong = token.clone();
    wrong.replace_range(token.len() - 4.., "AAAA");
    let error = world.verify(&wrong).unwrap_err();
    let answer = error.problem().response(Some("id"));
    let shown = format!("{answer:?} {error:?} {error}");
    for part in wrong.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
    assert_eq!(answer.status_code, 401);
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    let missing = TokenError::Missing.problem().response(None);
    assert_eq!(missing.headers[header::WWW_AUTHENTICATE], "Bearer");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Each byte of a token, changed in each of its bits.
    #[test]
    fn any_flipped_bit_is_refused(days in 1..=90_u32, bit in 0..8_u8) {
        let world = world();
        let token = sign(&claims(days), &world.key).unwrap();
        prop_assert_eq!(world.verify(&token), Ok(()));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            // What is not ASCII is no header value, and never comes so far.
            if let Ok(flipped) = String::from_utf8(bytes) {
                prop_assert!(world.verify(&flipped).is_err(), "byte {}", at);
            }
        }
    }

    /// Any byte, replaced by any other, inserted or taken out.
    #[test]
    fn any_edit_is_refused(at in any::<prop::sample::Index>(), byte in 0x21..0x7f_u8, kind in 0..3_u8) {
        let world = world();
        let token = sign(&claims(30), &world.key).unwrap();
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        let edited = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(world.verify(&edited).is_ok(), edited == token);
    }

    /// Whatever is sent, the answer is an error and not a panic.
    #[test]
    fn no_text_is_a_token(text in "[ -~]{0,200}", dots in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}") {
        let world = world();
        prop_assert!(world.verify(&text).is_err());
        prop_assert!(world.verify(&dots).is_err());
    }
}
