//! `agentledger token keygen`, `mint`, `list` and `revoke`.

mod issued;

use std::path::Path;

use auth::{AgentPattern, Claims, RevocationReport, Role, SecretKey, read_secret_key, sign, write_key_pair};
use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::id::{TeamId, TokenId};
use shared::revocation::Revocation;

use super::{cell, read};
use crate::cli::{Format, MintArgs, RoleArg, TokenArgs, TokenCommand, TokenListArgs};
use crate::output::{Grid, print, say, text};
use crate::source::{Misuse, Source, escape};
use issued::Issued;

/// Makes keys and tokens, lists tokens and takes them back.
pub(crate) fn token(args: &TokenArgs) -> anyhow::Result<()> {
    match &args.command {
        TokenCommand::Keygen { out } => keygen(out),
        TokenCommand::Mint(args) => mint(args),
        TokenCommand::List(args) => list(args),
        TokenCommand::Revoke { jti, reason, ledger } => {
            let path = format!("/v1/admin/revocations/{}", escape(jti));
            let body = json!({"reason": reason}).to_string();
            let answer = Source::open(ledger)?.send(Method::PUT, &path, "", Some(body))?;
            let kept: Revocation = read(&answer)?;
            say(&format!("token {} is revoked since {}\n", kept.jti, kept.at))
        }
    }
}

fn keygen(out: &Path) -> anyhow::Result<()> {
    let key = SecretKey::generate()?;
    let public = write_key_pair(out, &key)?;
    say(&format!(
        "private key: {} (keep it where tokens are minted)\npublic key: {} (for [auth] public_keys)\nkid: {}\n",
        out.display(),
        public.display(),
        key.public().id()
    ))
}

fn mint(args: &MintArgs) -> anyhow::Result<()> {
    let role = match args.role {
        RoleArg::Ingest => Role::Ingest,
        RoleArg::Read => Role::Read,
        RoleArg::Admin => Role::Admin,
    };
    let pattern =
        |text: &String| AgentPattern::parse(text).map_err(|e| Misuse(format!("--agent {text:?} {e}")));
    let agents = args.agents.iter().map(pattern).collect::<Result<_, _>>()?;
    let team = args.team.as_deref().map(TeamId::parse).transpose();
    let team = team.map_err(|e| Misuse(format!("--team {e}")))?;
    let now = SystemClock.now();
    let claims =
        Claims::new(role, agents, team, &args.audience, now, args.days).map_err(|e| Misuse(e.to_string()))?;
    let key = read_secret_key(&args.key)?;
    let token = sign(&claims, &key)?;
    // Noted before it is printed: no token is out there that the list lacks.
    issued::append(&args.key, &Issued::of(&claims, &key.public()))?;
    say(&format!("{token}\n"))
}

/// One token of the list.
#[derive(Serialize)]
struct Line {
    jti: TokenId,
    state: &'static str,
    /// Null where only its revocation is known.
    issued: Option<Issued>,
    revoked_at: Option<Timestamp>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct TokenReport {
    tokens: Vec<Line>,
    next: Option<String>,
}

fn list(args: &TokenListArgs) -> anyhow::Result<()> {
    let issued = args.key.as_deref().map(issued::read).transpose()?.unwrap_or_default();
    let answer = Source::open(&args.ledger)?.get("/v1/revocations", &[])?;
    let revoked: RevocationReport = read(&answer)?;
    let report = TokenReport { tokens: lines(issued, &revoked.revocations, SystemClock.now()), next: None };
    let rows = report.tokens.iter().map(|line| {
        let of = |show: fn(&Issued) -> String| line.issued.as_ref().map(show).unwrap_or_default();
        vec![
            line.jti.to_string(),
            line.state.to_owned(),
            of(|issued| issued.role.to_string()),
            of(|issued| issued.agents.iter().map(AgentPattern::as_str).collect::<Vec<_>>().join(" ")),
            of(|issued| cell(issued.team.as_ref())),
            of(|issued| issued.minted_at.to_string()),
            of(|issued| issued.expires_at.to_string()),
            cell(line.revoked_at.as_ref()),
            cell(line.reason.as_ref()),
        ]
    });
    let headings =
        ["jti", "state", "role", "agents", "team", "minted_at", "expires_at", "revoked_at", "reason"];
    let grid = Grid { columns: headings.map(text).into(), rows: rows.collect(), total: None, note: None };
    let json =
        if args.output.format == Format::Json { serde_json::to_string(&report)? } else { String::new() };
    print(args.output.format, &grid, &json)
}

/// What was issued, newest first, and then what was revoked and is not in that list.
fn lines(issued: Vec<Issued>, revoked: &[Revocation], now: Timestamp) -> Vec<Line> {
    let mut left: std::collections::BTreeMap<_, _> =
        revoked.iter().map(|revocation| (revocation.jti.clone(), revocation)).collect();
    let line = |issued: Issued| {
        let revocation = left.remove(&issued.jti);
        let state = match revocation {
            Some(_) => "revoked",
            None if issued.expires_at <= now => "expired",
            None => "valid",
        };
        Line {
            jti: issued.jti.clone(),
            state,
            issued: Some(issued),
            revoked_at: revocation.map(|r| r.at),
            reason: revocation.and_then(|r| r.reason.clone()),
        }
    };
    let mut lines: Vec<_> = issued.into_iter().rev().map(line).collect();
    lines.extend(revoked.iter().filter(|revocation| left.contains_key(&revocation.jti)).map(|revocation| {
        Line {
            jti: revocation.jti.clone(),
            state: "revoked",
            issued: None,
            revoked_at: Some(revocation.at),
            reason: revocation.reason.clone(),
        }
    }));
    lines
}
