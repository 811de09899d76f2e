//! Partial sums by lane, added up on reading.

use std::fmt::Write;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use shared::ledger::{LedgerError, RollupQuery, RollupRow, RollupStore, TakeRow};
use shared::rollup::{Parts, RollupKey, Scope, ScopeKind};
use shared::totals::{Overflow, Totals};
use shared::window::{Range, WindowKind};

use super::{SqliteLedger, refusal, unreadable};

/// Adds to one lane's sums. The outer error is the ledger's, the inner a sum that would not fit.
pub(super) fn add(
    db: &Connection,
    key: &RollupKey,
    lane: u32,
    more: &Parts,
) -> Result<Result<(), Overflow>, LedgerError> {
    let Scope { kind, a, b } = &key.scope;
    let id = params![*kind as u8, key.window as u8, key.start, a, b, lane];
    let known = db
        .prepare_cached(
            "SELECT parts FROM rollup
             WHERE kind = ?1 AND win = ?2 AND start = ?3 AND a = ?4 AND b = ?5 AND lane = ?6",
        )
        .and_then(|mut s| s.query_row(id, |row| row.get::<_, String>(0)).optional())
        .map_err(refusal)?;
    let is_new = known.is_none();
    let mut sum = match known {
        Some(text) => read_parts(&text)?,
        None => Parts::empty(key.window),
    };
    if let Err(overflow) = sum.add(more) {
        return Ok(Err(overflow));
    }
    let text = serde_json::to_string(&sum.0).map_err(unreadable)?;
    let sql = if is_new {
        "INSERT INTO rollup (kind, win, start, a, b, lane, parts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    } else {
        "UPDATE rollup SET parts = ?7
         WHERE kind = ?1 AND win = ?2 AND start = ?3 AND a = ?4 AND b = ?5 AND lane = ?6"
    };
    db.prepare_cached(sql)
        .and_then(|mut s| s.execute(params![*kind as u8, key.window as u8, key.start, a, b, lane, text]))
        .map_err(refusal)?;
    Ok(Ok(()))
}

fn read_parts(text: &str) -> Result<Parts, LedgerError> {
    serde_json::from_str::<Vec<Totals>>(text).map(Parts).map_err(unreadable)
}

impl RollupStore for SqliteLedger {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        self.read(|db| {
            // One transaction: a reader's snapshot begins with its first read, and ends with it.
            let snapshot = db.unchecked_transaction().map_err(refusal)?;
            for (n, query) in queries.iter().enumerate() {
                read_rows(&snapshot, query, &mut |row| take(n, row))?;
            }
            snapshot.finish().map_err(refusal)
        })
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        let month = WindowKind::Month;
        self.read(|db| {
            db.query_row(
                "SELECT min(start), max(start) FROM rollup WHERE kind = ?1 AND win = ?2",
                params![ScopeKind::Org as u8, month as u8],
                |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?)),
            )
            .map(|ends| ends.map(|(first, last)| Range { from: first, to: month.end(last) }))
            .map_err(refusal)
        })
    }
}

fn read_rows(db: &Connection, query: &RollupQuery, take: Take<'_>) -> Result<(), LedgerError> {
    let mut start = query.window.start(query.from);
    if query.a.is_none() && query.b.is_none() {
        return select(db, query, start, query.to, take);
    }
    // Rows of one name are found by seeking each window, of which the range holds few.
    while start < query.to {
        let end = query.window.end(start);
        select(db, query, start, end, take)?;
        start = end;
    }
    Ok(())
}

type Take<'a> = &'a mut dyn FnMut(RollupRow) -> Result<(), LedgerError>;

/// Gives the rows whose window starts in `from..to`, lanes summed.
fn select(
    db: &Connection,
    query: &RollupQuery,
    from: i64,
    to: i64,
    take: Take<'_>,
) -> Result<(), LedgerError> {
    let one_window = query.window.end(from) == to;
    let mut sql = "SELECT start, a, b, parts FROM rollup WHERE kind = ?1 AND win = ?2 AND ".to_owned();
    let mut values = vec![
        Value::Integer(i64::from(query.kind as u8)),
        Value::Integer(i64::from(query.window as u8)),
        Value::Integer(from),
    ];
    if one_window {
        sql.push_str("start = ?3");
    } else {
        sql.push_str("start >= ?3 AND start < ?4");
        values.push(Value::Integer(to));
    }
    for (column, name) in [("a", &query.a), ("b", &query.b)] {
        if let Some(name) = name {
            values.push(Value::Text(name.clone()));
            // Writing to a String cannot fail.
            let _ = write!(sql, " AND {column} = ?{}", values.len());
        }
    }
    if query.a.is_none()
        && query.b.is_some()
        && matches!(query.kind, ScopeKind::AgentTask | ScopeKind::AgentModel)
    {
        // Repeats the partial index's condition, which the planner cannot infer from a bound value.
        sql.push_str(" AND kind IN (7, 8)");
    }
    sql.push_str(" ORDER BY start, a, b");
    let mut statement = db.prepare_cached(&sql).map_err(refusal)?;
    let mut found = statement.query(params_from_iter(values)).map_err(refusal)?;
    let mut open: Option<RollupRow> = None;
    while let Some(row) = found.next().map_err(refusal)? {
        let start: i64 = row.get(0).map_err(refusal)?;
        let text =
            |n| row.get_ref(n).map_err(refusal)?.as_str().map_err(|e| LedgerError::Broken(e.to_string()));
        let (a, b) = (text(1)?, text(2)?);
        let parts = read_parts(text(3)?)?;
        match &mut open {
            Some(last) if last.start == start && last.scope.a == a && last.scope.b == b => {
                last.parts.add(&parts).map_err(|e| LedgerError::Broken(e.to_string()))?;
            }
            _ => {
                let scope = Scope { kind: query.kind, a: a.to_owned(), b: b.to_owned() };
                if let Some(done) = open.replace(RollupRow { scope, start, parts }) {
                    take(done)?;
                }
            }
        }
    }
    open.map_or(Ok(()), take)
}
