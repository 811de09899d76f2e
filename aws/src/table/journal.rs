//! Entries of a lane's journal: what one commit adds to the rollups, small enough to be paid for.
//!
//! An event adds the same sums to 27 rollups whose names repeat: names and sums are told once, and the whole is
//! deflated.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::ledger::LedgerError;
use shared::rollup::{Additions, Parts, RollupKey, Scope, ScopeKind};
use shared::totals::Totals;
use shared::window::WindowKind;

use super::value::{deflate, inflate, unreadable};

/// The form written.
const VERSION: u32 = 1;

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it adds.
    pub(super) additions: Vec<(RollupKey, Parts)>,
    /// Entries of other lanes without which it makes no sense: those that wrote the records that it changes.
    pub(super) needs: Vec<(u32, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<(u32, u64)>,
    names: Vec<String>,
    starts: Vec<i64>,
    totals: Vec<Totals>,
    rows: Vec<Row>,
}

/// Kind, first and second name, window and its start, and the sums of its parts: places in the lists.
#[derive(Serialize, Deserialize)]
struct Row(u8, usize, usize, u8, usize, Vec<usize>);

#[derive(Default)]
struct Places<K> {
    of: HashMap<K, usize>,
}

impl<K: std::hash::Hash + Eq> Places<K> {
    fn of(&mut self, key: K, push: impl FnOnce()) -> usize {
        let next = self.of.len();
        *self.of.entry(key).or_insert_with(|| {
            push();
            next
        })
    }
}

/// Writes an entry.
pub(super) fn encode(additions: &Additions, needs: &[(u32, u64)]) -> Result<Vec<u8>, LedgerError> {
    let (mut names, mut starts, mut totals) = (Vec::new(), Vec::new(), Vec::new());
    let (mut name_of, mut start_of, mut totals_of) =
        (Places::default(), Places::default(), Places::default());
    let mut rows = Vec::with_capacity(additions.len());
    for (key, parts) in additions.iter() {
        let mut name = |text: &str| name_of.of(text.to_owned(), || names.push(text.to_owned()));
        let (a, b) = (name(&key.scope.a), name(&key.scope.b));
        let start = start_of.of(key.start, || starts.push(key.start));
        let mut sums = Vec::with_capacity(parts.0.len());
        for part in &parts.0 {
            let json = serde_json::to_string(part).map_err(unreadable)?;
            sums.push(totals_of.of(json, || totals.push(part.clone())));
        }
        rows.push(Row(key.scope.kind as u8, a, b, key.window as u8, start, sums));
    }
    let stored = Stored { v: VERSION, needs: needs.to_vec(), names, starts, totals, rows };
    deflate(serde_json::to_string(&stored).map_err(unreadable)?.as_bytes())
}

/// Reads an entry.
pub(super) fn decode(bytes: &[u8]) -> Result<Entry, LedgerError> {
    let stored: Stored = serde_json::from_str(&inflate(bytes)?).map_err(unreadable)?;
    if stored.v != VERSION {
        let v = stored.v;
        return Err(LedgerError::Broken(format!(
            "an entry of the journal has version {v}, this program knows {VERSION}; upgrade it"
        )));
    }
    let broken = || LedgerError::Broken("an entry of the journal is not readable".to_owned());
    let row = |Row(kind, a, b, window, start, sums): Row| {
        let kind = ScopeKind::ALL.into_iter().find(|k| *k as u8 == kind)?;
        let window = WindowKind::ALL.into_iter().find(|w| *w as u8 == window)?;
        let scope = Scope { kind, a: stored.names.get(a)?.clone(), b: stored.names.get(b)?.clone() };
        let key = RollupKey { scope, window, start: *stored.starts.get(start)? };
        let parts = sums.into_iter().map(|n| stored.totals.get(n).cloned()).collect::<Option<Vec<_>>>()?;
        (parts.len() == window.parts()).then_some((key, Parts(parts)))
    };
    let additions = stored.rows.into_iter().map(|r| row(r).ok_or_else(broken)).collect::<Result<_, _>>()?;
    Ok(Entry { additions, needs: stored.needs })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::usage::Bucket;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_comes_back(
            calls in prop::collection::vec((0..4_usize, "[a-c#]{0,2}", "[a-c]{0,2}", 0..3_000_000_i64, -9..9_i64), 0..40),
            needs in prop::collection::vec((any::<u32>(), any::<u64>()), 0..3),
        ) {
            let mut additions = Additions::default();
            for (kind, a, b, time, n) in calls {
                let scope = Scope { kind: ScopeKind::ALL[kind], a, b };
                let mut totals = Totals { events: n, ..Totals::default() };
                totals.usage[Bucket::Output as usize] = i128::from(n) * 7;
                let time = jiff::Timestamp::from_second(time).unwrap();
                additions.add(&[scope], time, &totals).unwrap();
            }
            let entry = decode(&encode(&additions, &needs).unwrap()).unwrap();
            let wanted: Vec<_> = additions.iter().map(|(k, p)| (k.clone(), p.clone())).collect();
            prop_assert_eq!(entry.additions, wanted);
            prop_assert_eq!(entry.needs, needs);
        }
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        let of = |json: &str| decode(&deflate(json.as_bytes()).unwrap());
        let newer = of(r#"{"v":2,"names":[],"starts":[],"totals":[],"rows":[]}"#);
        assert!(matches!(newer, Err(LedgerError::Broken(said)) if said.contains("upgrade")));
        let places = of(r#"{"v":1,"names":["a"],"starts":[0],"totals":[],"rows":[[0,0,9,0,0,[]]]}"#);
        assert!(matches!(places, Err(LedgerError::Broken(_))));
        assert!(matches!(decode(b"no"), Err(LedgerError::Broken(_))));
    }
}
