//! Revoked tokens: kept once, for the longer of two ends, and dropped when the token has expired anyway.

use jiff::Timestamp;
use shared::id::TokenId;
use shared::revocation::{Revocation, RevocationStore};

use super::{Checked, ensure};

/// Revocations stand, are not shortened, and are dropped once they are over.
pub async fn revocations<L: RevocationStore>(ledger: &L) -> Checked {
    let time = |day: u32| format!("2026-03-{day:02}T10:05:00.5Z").parse::<Timestamp>();
    ensure(ledger.revocations().await?.is_empty(), "nothing is revoked at first")?;
    let first = Revocation {
        jti: TokenId::parse("t1")?,
        until: time(20)?,
        at: time(7)?,
        reason: Some("lost".to_owned()),
    };
    ensure(ledger.revoke(&first).await? == first, "a revocation is kept as it was given")?;
    let again = Revocation { until: time(19)?, at: time(8)?, reason: None, ..first.clone() };
    ensure(ledger.revoke(&again).await? == first, "the first stands, and is not shortened")?;
    let longer = Revocation { until: time(25)?, ..again };
    let kept = Revocation { until: time(25)?, ..first };
    ensure(ledger.revoke(&longer).await? == kept, "it lasts until the later end")?;
    let other = Revocation { jti: TokenId::parse("t0")?, until: time(10)?, at: time(9)?, reason: None };
    ledger.revoke(&other).await?;
    let same = Revocation { jti: TokenId::parse("t2")?, ..other.clone() };
    ledger.revoke(&same).await?;
    ensure(
        ledger.revocations().await? == vec![other, same, kept.clone()],
        "all are listed, newest first, then by id",
    )?;
    let last = Revocation { jti: TokenId::parse("t3")?, until: time(30)?, at: time(12)?, reason: None };
    ledger.revoke(&last).await?;
    ensure(ledger.revocations().await? == vec![last, kept], "what is over is dropped")
}
