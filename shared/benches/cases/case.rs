//! One thing that is measured: its time by criterion (`timed`), its instructions by `scripts/instructions.sh`.

#![allow(dead_code, reason = "each program that includes it makes some kinds of cases")]

use std::hint::black_box;

/// How much one run takes in.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    /// So many events.
    Events(usize),
    /// A body of so many bytes.
    Bytes(usize),
}

/// How it runs.
pub(crate) enum Run {
    /// As often as is asked.
    Again(Box<dyn FnMut()>),
    /// Each run uses an input up, which is made before and not measured.
    Once(Box<dyn FnMut() -> Box<dyn FnOnce()>>),
}

/// A case, whose input is the same in each process.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) amount: Amount,
    pub(crate) run: Run,
}

impl Case {
    /// Measures what leaves its input as it was.
    pub(crate) fn again<T>(
        name: impl Into<String>,
        amount: Amount,
        mut run: impl FnMut() -> T + 'static,
    ) -> Self {
        let run = Run::Again(Box::new(move || {
            black_box(run());
        }));
        Self { name: name.into(), amount, run }
    }

    /// Measures what uses its input up; dropping the outcome is part of it.
    pub(crate) fn once<I: 'static, T>(
        name: impl Into<String>,
        amount: Amount,
        mut input: impl FnMut() -> I + 'static,
        run: impl Fn(I) -> T + Clone + 'static,
    ) -> Self {
        let make = move || -> Box<dyn FnOnce()> {
            let (input, run) = (input(), run.clone());
            Box::new(move || {
                black_box(run(input));
            })
        };
        Self { name: name.into(), amount, run: Run::Once(Box::new(make)) }
    }
}
