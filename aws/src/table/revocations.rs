//! Revoked tokens, by id.

use shared::ledger::LedgerError;
use shared::revocation::{Revocation, RevocationStore};

use super::Table;
use super::call::{RACES, pause};
use super::keys::{Key, REVOKED};
use super::value::{json, keyed, number, number_of, read, with};

/// How long after its end a revocation may still be there.
const GRACE_SECONDS: i64 = 24 * 3600;

impl RevocationStore for Table {
    async fn revoke(&self, revocation: &Revocation) -> Result<Revocation, LedgerError> {
        // What has ended is dropped here, as the table's expiry takes days.
        for known in self.revocations().await? {
            if known.until.as_second() < revocation.at.as_second() {
                self.remove(key(&known)).await?;
            }
        }
        for attempt in 0..RACES {
            let known = self.item(key(revocation)).await?;
            let writes: u64 =
                known.as_ref().map(|item| number_of(item, "v")).transpose()?.flatten().unwrap_or(0);
            let mut kept = revocation.clone();
            if let Some(item) = known {
                let first: Revocation = read(&item, "data")?;
                kept = Revocation { until: first.until.max(revocation.until), ..first };
                if kept.until == first.until {
                    return Ok(kept);
                }
            }
            let item = with(keyed(key(&kept)), "data", json(&kept)?);
            let item = with(item, "ttl", number(kept.until.as_second() + GRACE_SECONDS));
            if self.put_versioned(with(item, "v", number(writes + 1)), writes).await? {
                return Ok(kept);
            }
            pause(attempt).await;
        }
        Err(LedgerError::Retry(format!("token {} was revoked by others for long", revocation.jti)))
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, LedgerError> {
        let items = self.partition(REVOKED).await?;
        let mut all: Vec<Revocation> =
            items.iter().map(|item| read(item, "data")).collect::<Result<_, _>>()?;
        all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.jti.as_str().cmp(b.jti.as_str())));
        Ok(all)
    }
}

fn key(revocation: &Revocation) -> Key {
    (REVOKED.to_owned(), revocation.jti.as_str().to_owned())
}
