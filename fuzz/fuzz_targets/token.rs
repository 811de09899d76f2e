//! Any credentials and any key file: reading them never panics, and nothing holds but what was signed, with
//! exactly the claims that were signed, and only where audience, clock and revocations let it.
//!
//! The first byte of an input says what the rest is: a PEM text; an `authorization` header as it is; edits of a
//! token that is sound; or a header and a payload, on a line each, that get a right signature.

#![no_main]

use std::sync::{Arc, LazyLock};

use auth::{
    AUDIENCE, Access, AgentPattern, Caller, Claims, MAX_DAYS, PublicKey, Role, SecretKey, TokenError,
    Verifier, sign,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use shared::clock::Clock;
use shared::id::{TeamId, TokenId};
use shared::revocation::Revocation;

const NOW: i64 = 1_793_526_000;
const DAY: i64 = 86_400;
/// The key of RFC 8037, appendix A, which is no secret.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).expect("a time")
    }
}

struct World {
    key: SecretKey,
    signer: SigningKey,
    /// What was signed, and whether it holds.
    signed: Vec<(String, Claims, bool)>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = SecretKey::from_pem(PEM).expect("a key");
    let base = Claims {
        jti: TokenId::parse("writer").expect("an id"),
        aud: AUDIENCE.to_owned(),
        role: Role::Ingest,
        agents: vec![AgentPattern::parse("writer-*").expect("a pattern")],
        team: Some(TeamId::parse("growth").expect("an id")),
        iat: NOW - DAY,
        exp: NOW + DAY,
    };
    let reader = Claims { role: Role::Read, agents: Vec::new(), ..named(&base, "reader") };
    let admin = Claims { role: Role::Admin, agents: Vec::new(), team: None, ..named(&base, "admin") };
    let late = Claims { exp: NOW, ..named(&base, "late") };
    let early = Claims { iat: NOW + 61, ..named(&base, "early") };
    let foreign = Claims { aud: "elsewhere".to_owned(), ..named(&base, "foreign") };
    let revoked = named(&base, "revoked");
    let all = [
        (base, true),
        (reader, true),
        (admin, true),
        (late, false),
        (early, false),
        (foreign, false),
        (revoked, false),
    ];
    let signed = all.map(|(claims, holds)| (sign(&claims, &key).expect("sound claims"), claims, holds));
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64");
    let signer = SigningKey::from_bytes(&seed.try_into().expect("32 bytes"));
    World { key, signer, signed: signed.into() }
});

fn named(claims: &Claims, jti: &str) -> Claims {
    Claims { jti: TokenId::parse(jti).expect("an id"), ..claims.clone() }
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind % 4 {
        0 => keys(&String::from_utf8_lossy(rest)),
        1 => {
            let Ok(value) = HeaderValue::from_bytes(rest) else { return };
            known(ask(value.clone()), &value);
        }
        2 => {
            let Ok(value) = HeaderValue::from_bytes(&edited(rest)) else { return };
            known(ask(value.clone()), &value);
        }
        _ => forged(rest),
    }
});

/// A key that can be read survives being written and read again.
fn keys(text: &str) {
    if let Ok(keys) = PublicKey::all_from_pem(text) {
        assert!(!keys.is_empty());
        let written: String = keys.iter().map(PublicKey::to_pem).collect();
        assert_eq!(PublicKey::all_from_pem(&written).as_ref(), Ok(&keys));
        // Whatever keys a server has, a token of none of them is refused.
        let verifier = Verifier::new(keys, AUDIENCE.to_owned(), Arc::new(Noon));
        let (token, ..) = &WORLD.signed[0];
        let ours = verifier.key_ids().contains(&WORLD.key.public().id());
        assert_eq!(verifier.verify(token).is_ok(), ours);
    }
    if let Ok(secret) = SecretKey::from_pem(text) {
        let again = SecretKey::from_pem(&secret.to_pem()).expect("what was written is read");
        assert_eq!(again.public(), secret.public());
        assert!(PublicKey::all_from_pem(text).is_err(), "a secret is no public key");
    }
}

/// Asks twice, since what was verified is remembered.
fn ask(value: HeaderValue) -> Result<Claims, TokenError> {
    let verifier = Verifier::new(vec![WORLD.key.public()], AUDIENCE.to_owned(), Arc::new(Noon));
    let until = Timestamp::from_second(NOW + DAY).expect("a time");
    let jti = TokenId::parse("revoked").expect("an id");
    verifier.revoke(&[Revocation { jti, at: Noon.now(), until, reason: None }]);
    let access = Access::tokens(Arc::new(verifier));
    let mut headers = HeaderMap::new();
    headers.append(header::AUTHORIZATION, value);
    let claims = |caller| match caller {
        Caller::Token(verified) => verified.claims.clone(),
        Caller::Local | Caller::Principal(_) => panic!("there are tokens"),
    };
    let first = access.caller(&headers).map(claims);
    assert_eq!(access.caller(&headers).map(claims), first);
    if let Err(error) = &first {
        assert_eq!(error.problem().code.status().as_u16(), 401);
    }
    first
}

/// What holds was signed, letter by letter.
fn known(answer: Result<Claims, TokenError>, value: &HeaderValue) {
    let sent = value.to_str().unwrap_or_default().split_once(' ').map_or("", |(_, token)| token);
    let sent = sent.trim_matches(' ');
    let signed = WORLD.signed.iter().find(|(token, ..)| token == sent);
    match (answer, signed) {
        (Ok(claims), Some((_, signed, holds))) => {
            assert!(holds, "{claims:?} holds no longer, or not here");
            assert_eq!(claims, *signed);
        }
        (Ok(claims), None) => panic!("nobody signed {sent}, and it says {claims:?}"),
        (Err(_), _) => {}
    }
}

/// A sound header, and edits of four bytes each: what, where (two bytes), with what.
fn edited(rest: &[u8]) -> Vec<u8> {
    let world = &*WORLD;
    let (pick, edits) = rest.split_first().unwrap_or((&0, &[]));
    let token = |n: u8| world.signed[usize::from(n) % world.signed.len()].0.as_bytes();
    let mut text = [b"Bearer ", token(*pick)].concat();
    for edit in edits.chunks_exact(4).take(16) {
        let at = usize::from(u16::from_be_bytes([edit[1], edit[2]])) % text.len().max(1);
        let with = edit[3];
        match edit[0] % 8 {
            0 if at < text.len() => text[at] = with,
            1 => text.insert(at, with),
            2 if at < text.len() => drop(text.remove(at)),
            3 => text.truncate(at.max(1)),
            4 if at < text.len() => text[at] ^= 1 << (with % 8),
            // One part of another token in the place of this one's.
            5 => {
                let part = usize::from(edit[2]) % 3;
                let other = token(with).split(|b| *b == b'.').nth(part).unwrap_or_default();
                let own = text.strip_prefix(b"Bearer ").unwrap_or(&text);
                let parts: Vec<&[u8]> = own.split(|b| *b == b'.').collect();
                let mut parts = parts;
                if let Some(slot) = parts.get_mut(part) {
                    *slot = other;
                }
                text = [b"Bearer ", parts.join(&b'.').as_slice()].concat();
            }
            6 => text.extend([b' ', b'.', b'=', with]),
            7 => text.extend(token(with)),
            _ => {}
        }
    }
    text
}

/// Rightly signed, whatever it says: what is read is what the payload says, and within the rules.
fn forged(rest: &[u8]) {
    let world = &*WORLD;
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (head, payload) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let own = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"JWT"}}"#, world.key.public().id());
    let head = if head.is_empty() { own.as_bytes() } else { head };
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(world.signer.sign(signed.as_bytes()).to_bytes());
    let value = HeaderValue::from_str(&format!("Bearer {signed}.{signature}")).expect("a header");
    let Ok(claims) = ask(value) else { return };
    let said: Claims = serde_json::from_slice(payload).expect("what holds can be read");
    assert_eq!(claims, said);
    let head: serde_json::Value = serde_json::from_slice(head).expect("what holds has a header");
    assert_eq!((&head["alg"], &head["typ"]), (&"EdDSA".into(), &"JWT".into()));
    assert_eq!(head.as_object().map(serde_json::Map::len), Some(3));
    assert_eq!(claims.aud, AUDIENCE);
    assert!(claims.iat <= NOW + 60 && claims.exp > NOW && claims.jti.as_str() != "revoked");
    assert!(claims.exp - claims.iat <= i64::from(MAX_DAYS) * DAY);
    assert_eq!(claims.role == Role::Ingest, !claims.agents.is_empty());
    // Signing what was read is a token of the same meaning.
    let again = sign(&claims, &world.key).expect("what holds can be signed");
    let value = HeaderValue::from_str(&format!("Bearer {again}")).expect("a header");
    assert_eq!(ask(value).as_ref(), Ok(&claims));
}
