//! The terminal: keys in, the view out, and back to how it was at the end, however that comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::draw::draw;
use super::look::{Look, look};
use super::view::{View, Wish};
use crate::cli::{LedgerArgs, WatchArgs, WatchBy};

/// How long a key, an answer or a signal may wait.
const TICK: Duration = Duration::from_millis(100);
/// Rows of a page key.
const PAGE: isize = 10;

type Seen = (WatchBy, Result<Look, String>);

/// The terminal as it was before, when this is dropped.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the view until a key or a signal ends it.
pub(super) fn run(args: &WatchArgs, view: View) -> anyhow::Result<()> {
    let stopped = watch_signals()?;
    let (ask, asked) = channel();
    let (answer, answers) = channel();
    let (ledger, by) = (args.ledger.clone(), args.by);
    let every = Duration::from_secs(args.interval.into());
    // Apart from the keys, as an answer may take long. It is not waited for at the end: it may be asking still.
    let looks = move || keep_looking(&ledger, by, every, &asked, &answer);
    std::thread::Builder::new().name("look".to_owned()).spawn(looks).context("cannot start a thread")?;
    // Also restores before a panic is told.
    let mut terminal = ratatui::try_init().context("cannot use this terminal; --once prints text instead")?;
    let _restore = Restore;
    show(&mut terminal, view, &ask, &answers, &stopped)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut view: View,
    ask: &Sender<WatchBy>,
    answers: &Receiver<Seen>,
    stopped: &AtomicBool,
) -> anyhow::Result<()> {
    let mut changed = true;
    while !stopped.load(Ordering::Relaxed) {
        if changed {
            terminal.draw(|frame| draw(&view, frame)).context("cannot draw on the terminal")?;
            changed = false;
        }
        if event::poll(TICK).context("cannot read keys")? {
            let event = event::read().context("cannot read keys")?;
            changed |= matches!(event, Event::Resize(..));
            if let Event::Key(key) = event
                && let Some(wish) = wish(key)
            {
                if !view.wish(wish) {
                    return Ok(());
                }
                if let Wish::By(by) = wish {
                    // An error means that the other thread is gone, which its answers tell below.
                    let _ = ask.send(by);
                }
                changed = true;
            }
        }
        loop {
            match answers.try_recv() {
                Ok((by, seen)) => view.see(by, seen, Instant::now()),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(anyhow!("the thread that asks ended")),
            }
            changed = true;
        }
    }
    Ok(())
}

/// Asks at once, at every interval, and whenever another dimension is wanted.
fn keep_looking(
    ledger: &LedgerArgs,
    mut by: WatchBy,
    every: Duration,
    asked: &Receiver<WatchBy>,
    answer: &Sender<Seen>,
) {
    loop {
        let seen = look(ledger, by).map_err(|error| format!("{error:#}"));
        if answer.send((by, seen)).is_err() {
            return;
        }
        match asked.recv_timeout(every) {
            Ok(wanted) => by = wanted,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Ok(wanted) = asked.try_recv() {
            by = wanted;
        }
    }
}

fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    // The terminal is raw: Ctrl-C is a key and no signal.
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(key.code, KeyCode::Char('c' | 'd')).then_some(Wish::Quit);
    }
    Some(match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
        KeyCode::Char('1' | 'a') => Wish::By(WatchBy::Agent),
        KeyCode::Char('2' | 't') => Wish::By(WatchBy::Team),
        KeyCode::Char('3' | 'm') => Wish::By(WatchBy::Model),
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::PageDown => Wish::Scroll(PAGE),
        KeyCode::PageUp => Wish::Scroll(-PAGE),
        KeyCode::Home => Wish::Scroll(isize::MIN),
        KeyCode::End => Wish::Scroll(isize::MAX),
        _ => return None,
    })
}

/// Becomes true at a signal that would otherwise leave the terminal raw.
fn watch_signals() -> anyhow::Result<Arc<AtomicBool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let stopped = Arc::new(AtomicBool::new(false));
    let (mut terminate, mut interrupt, mut hangup) = {
        let _in = runtime.enter();
        let watch = |kind| signal(kind).context("cannot watch for signals");
        (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?, watch(SignalKind::hangup())?)
    };
    let told = Arc::clone(&stopped);
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).context("cannot start a thread")?;
    Ok(stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_last_line_says() {
        let wish = |code| super::wish(KeyEvent::new(code, KeyModifiers::NONE));
        for (keys, by) in [("1a", WatchBy::Agent), ("2t", WatchBy::Team), ("3m", WatchBy::Model)] {
            for key in keys.chars() {
                assert_eq!(wish(KeyCode::Char(key)), Some(Wish::By(by)));
            }
        }
        assert_eq!(wish(KeyCode::Char('q')), Some(Wish::Quit));
        assert_eq!(wish(KeyCode::Down), Some(Wish::Scroll(1)));
        assert_eq!(wish(KeyCode::Char('x')), None);
        let control = |key| super::wish(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL));
        assert_eq!((control('c'), control('t')), (Some(Wish::Quit), None));
    }
}
