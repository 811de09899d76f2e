//! Which numbered submissions have arrived, a row for each sender.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use shared::id::{SenderId, TeamId};
use shared::ledger::{LedgerError, Sender, SequenceStore};
use shared::sequence::{Arrived, SenderKey};

use super::{SqliteLedger, refusal, unreadable};

impl SequenceStore for SqliteLedger {
    async fn note_arrived(
        &self,
        sender: &SenderKey,
        sequences: &[u64],
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let (team, name) = columns(sender);
        self.write(|db| {
            let known = db
                .prepare_cached("SELECT data FROM sender WHERE team = ?1 AND sender = ?2")
                .and_then(|mut s| s.query_row(params![team, name], |row| row.get::<_, String>(0)).optional())
                .map_err(refusal)?;
            let known = known.map(|data| serde_json::from_str(&data).map_err(unreadable)).transpose()?;
            let mut arrived: Arrived = known.unwrap_or_default();
            let mut is_news = false;
            for sequence in sequences {
                is_news |= arrived.add(*sequence, at);
            }
            if is_news {
                let data = serde_json::to_string(&arrived).map_err(unreadable)?;
                db.prepare_cached("INSERT OR REPLACE INTO sender (team, sender, data) VALUES (?1, ?2, ?3)")
                    .and_then(|mut s| s.execute(params![team, name, data]))
                    .map_err(refusal)?;
            }
            Ok(())
        })
    }

    async fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError> {
        // No team's name is empty, and neither is a sender's.
        let (team, name) = after.map_or(("", ""), columns);
        self.read(|db| {
            let mut select = db
                .prepare_cached(
                    "SELECT team, sender, data FROM sender WHERE (team, sender) > (?1, ?2)
                     ORDER BY team, sender LIMIT ?3",
                )
                .map_err(refusal)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            };
            let rows = select.query_map(params![team, name, limit], row).map_err(refusal)?;
            rows.map(|row| {
                let (team, name, data) = row.map_err(refusal)?;
                let broken = |e: shared::id::IdError| LedgerError::Broken(format!("sender {name:?}: {e}"));
                let team = (!team.is_empty()).then(|| TeamId::parse(&team)).transpose().map_err(broken)?;
                let key = SenderKey { team, sender: SenderId::parse(&name).map_err(broken)? };
                Ok(Sender { key, arrived: serde_json::from_str(&data).map_err(unreadable)? })
            })
            .collect()
        })
    }
}

fn columns(key: &SenderKey) -> (&str, &str) {
    (key.team.as_ref().map_or("", TeamId::as_str), key.sender.as_str())
}
