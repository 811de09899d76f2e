//! Runs of repricings: begun once, moved on from the state that was read, listed by their beginning.

use jiff::Timestamp;
use shared::id::OwnId;
use shared::repricing::{Figures, Place, RepricingStore, Run, Selection};

use super::{Checked, ensure};

/// A run's state moves only from the revision before, and runs are listed, the last one begun first.
pub async fn repricings<L: RepricingStore>(ledger: &L) -> Checked {
    let time = |day: u32| format!("2026-03-{day:02}T10:05:00.5Z").parse::<Timestamp>();
    let run = |name: &str, day: u32| -> Result<Run, Box<dyn std::error::Error>> {
        Ok(Run {
            run: OwnId::parse(name)?,
            revision: 1,
            selection: Selection {
                from: time(1)?,
                to: time(2)?,
                agents: Vec::new(),
                models: Vec::new(),
                unpriced: false,
                closed: false,
            },
            book: "v".to_owned(),
            started_at: time(day)?,
            updated_at: time(day)?,
            next: Some(Place { agent: 0, after: None }),
            figures: Figures::default(),
            refused: 0,
        })
    };
    ensure(ledger.repricings(9).await?.is_empty(), "there is no run at first")?;
    let (first, other) = (run("b", 7)?, run("a", 8)?);
    ensure(ledger.repricing(&first.run).await?.is_none(), "nor is one found by its name")?;
    ensure(ledger.put_repricing(&first).await?, "a run is begun")?;
    let again = Run { book: "w".to_owned(), ..first.clone() };
    ensure(!ledger.put_repricing(&again).await?, "and only once")?;
    let skipped = Run { revision: 3, ..first.clone() };
    ensure(!ledger.put_repricing(&skipped).await?, "it moves on from the revision before only")?;
    let further = Run { revision: 2, next: None, refused: 1, ..first.clone() };
    ensure(ledger.put_repricing(&further).await?, "from there it does")?;
    ensure(!ledger.put_repricing(&further).await?, "once")?;
    ensure(ledger.repricing(&first.run).await? == Some(further.clone()), "it is read as it was put")?;
    ensure(
        !ledger.put_repricing(&Run { revision: 2, ..other.clone() }).await?,
        "nothing is moved that is not",
    )?;
    ensure(ledger.put_repricing(&other).await?, "another run is begun beside it")?;
    ensure(ledger.repricings(9).await? == vec![other.clone(), further], "all are listed")?;
    ensure(ledger.repricings(1).await? == vec![other], "as many as were asked for")
}
