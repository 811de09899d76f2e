//! `FILE.issued.jsonl`: what was minted with a key, one line each. The tokens themselves are not in it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use auth::{AgentPattern, Claims, PublicKey, Role};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::id::{TeamId, TokenId};

/// The longest list that is read: tens of thousands of tokens.
const MAX_BYTES: u64 = 16 << 20;

/// A token that was minted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Issued {
    pub(super) jti: TokenId,
    pub(super) kid: String,
    pub(super) audience: String,
    pub(super) role: Role,
    pub(super) agents: Vec<AgentPattern>,
    pub(super) team: Option<TeamId>,
    pub(super) minted_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Issued {
    pub(super) fn of(claims: &Claims, key: &PublicKey) -> Self {
        let time = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        Self {
            jti: claims.jti.clone(),
            kid: key.id().to_string(),
            audience: claims.aud.clone(),
            role: claims.role,
            agents: claims.agents.clone(),
            team: claims.team.clone(),
            minted_at: time(claims.iat),
            expires_at: time(claims.exp),
        }
    }
}

fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".issued.jsonl");
    name.into()
}

/// Adds a line, on disk when it returns.
pub(super) fn append(key: &Path, issued: &Issued) -> anyhow::Result<()> {
    let path = beside(key);
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let line = format!("{}\n", serde_json::to_string(issued)?);
    let mut file = options.open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    file.write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write {}; no token was minted", path.display()))
}

/// Reads the list; a key that never minted has none.
pub(super) fn read(key: &Path) -> anyhow::Result<Vec<Issued>> {
    let path = beside(key);
    if !key.exists() {
        bail!("{}: there is no such key", key.display());
    }
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => file.take(MAX_BYTES + 1).read_to_string(&mut text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => Err(error),
    }
    .with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{} is larger than {MAX_BYTES} bytes; move it away, and begin with a new key", path.display());
    }
    let line =
        |(n, line)| serde_json::from_str(line).with_context(|| format!("{}, line {}", path.display(), n + 1));
    text.lines().enumerate().map(line).collect()
}
