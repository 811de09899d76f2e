//! What is shown, and what a look or a key makes of it. No terminal and no clock: a test sets both.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use query::SpendLine;
use shared::alert::{Alert, AlertKind};

use super::look::Look;
use crate::cli::WatchBy;
use crate::figures::{compact, dollars, grouped, share, units};
use crate::output::visible;

/// Decimal places of dollars on the screen. Reports have all of them.
const PLACES: u32 = 4;

/// All that is shown.
pub(super) struct View {
    /// What is watched.
    pub(super) place: String,
    pub(super) by: WatchBy,
    /// Seconds between two looks.
    pub(super) interval: u32,
    /// The newest answer.
    pub(super) look: Option<Look>,
    /// Why the newest look failed; the answer before it is still shown.
    pub(super) trouble: Option<String>,
    /// Rows scrolled past.
    pub(super) scroll: usize,
    seen_at: Option<Instant>,
    rates: HashMap<String, Rate>,
    total_rate: Option<Rate>,
}

/// Change in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    tokens: i128,
    /// In units of 10^-15 dollars.
    cost: i128,
}

/// A spender, as shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spender {
    pub(super) name: String,
    pub(super) cost: String,
    pub(super) cost_rate: String,
    pub(super) share: String,
    pub(super) tokens: String,
    pub(super) token_rate: String,
    pub(super) calls: String,
    /// Calls whose cost is unknown.
    pub(super) unpriced: String,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    By(WatchBy),
    /// Rows down; negative is up.
    Scroll(isize),
}

impl View {
    pub(super) fn new(place: &str, by: WatchBy, interval: u32) -> Self {
        Self {
            place: visible(place),
            by,
            interval,
            look: None,
            trouble: None,
            scroll: 0,
            seen_at: None,
            rates: HashMap::new(),
            total_rate: None,
        }
    }

    /// Takes the answer to a question by `by`. One by another dimension came too late and is left.
    pub(super) fn see(&mut self, by: WatchBy, seen: Result<Look, String>, at: Instant) {
        if by != self.by {
            return;
        }
        match seen {
            Err(error) => self.trouble = Some(visible(&error)),
            Ok(look) => {
                let since = self.seen_at.map(|before| at.saturating_duration_since(before));
                self.rates = HashMap::new();
                self.total_rate = None;
                if let (Some(before), Some(since)) = (&self.look, since.filter(|since| !since.is_zero())) {
                    let old: HashMap<&str, &SpendLine> =
                        before.spend.rows.iter().map(|line| (line.name(), line)).collect();
                    // Who was not there has spent all of it since.
                    let rate = |line: &SpendLine| {
                        (line.name().to_owned(), change(old.get(line.name()).copied(), line, since))
                    };
                    self.rates = look.spend.rows.iter().map(rate).collect();
                    self.total_rate = Some(change(Some(&before.spend.total), &look.spend.total, since));
                }
                (self.look, self.seen_at, self.trouble) = (Some(look), Some(at), None);
                self.scroll = self.scroll.min(self.last_row());
            }
        }
    }

    /// Does what a key asks for; false if that is the end.
    pub(super) fn wish(&mut self, wish: Wish) -> bool {
        match wish {
            Wish::Quit => return false,
            Wish::By(by) if by == self.by => {}
            Wish::By(by) => {
                *self = Self { trouble: self.trouble.take(), ..Self::new(&self.place, by, self.interval) };
            }
            Wish::Scroll(rows) => {
                self.scroll = self.scroll.saturating_add_signed(rows).min(self.last_row());
            }
        }
        true
    }

    fn last_row(&self) -> usize {
        self.look.as_ref().map_or(0, |look| look.spend.rows.len().saturating_sub(1))
    }

    /// The spenders, the largest first.
    pub(super) fn spenders(&self) -> Vec<Spender> {
        let Some(look) = &self.look else { return Vec::new() };
        let total = &look.spend.total;
        let row = |line: &SpendLine| {
            let rate = self.rates.get(line.name());
            Spender { name: visible(line.name()), ..figures(line, rate, total) }
        };
        look.spend.rows.iter().map(row).collect()
    }

    /// The sum of all.
    pub(super) fn total(&self) -> Option<Spender> {
        let total = &self.look.as_ref()?.spend.total;
        Some(Spender { name: "total".to_owned(), ..figures(total, self.total_rate.as_ref(), total) })
    }

    /// The totals in a line.
    pub(super) fn totals_line(&self) -> String {
        let (Some(total), Some(look)) = (self.total(), &self.look) else {
            return "no answer yet".to_owned();
        };
        let mut parts = vec![format!("{} calls, {} tokens, {}", total.calls, total.tokens, total.cost)];
        let sums = &look.spend.total;
        if sums.unpriced_events > 0 {
            let tokens = grouped(sums.unpriced_tokens);
            parts.push(format!(", unpriced {} calls with {tokens} tokens", total.unpriced));
        }
        let rates = [(total.cost_rate, "/min"), (total.token_rate, " tokens/min")];
        let rates = rates.into_iter().filter(|(rate, _)| !rate.is_empty());
        parts.extend(rates.map(|(rate, of)| format!("; {rate}{of}")));
        parts.concat()
    }

    /// How the pipeline is, in a line, and whether that is bad.
    pub(super) fn health_line(&self) -> (String, bool) {
        if let Some(trouble) = &self.trouble {
            let old = if self.look.is_some() { ", what is shown is old" } else { "" };
            return (format!("trying again{old}: {trouble}"), true);
        }
        match self.look.as_ref().map(|look| &look.health) {
            None => ("asking".to_owned(), false),
            Some(None) => ("no server: this is what is committed in the directory".to_owned(), false),
            Some(Some(health)) => (visible(&health.line()), health.status != "ok"),
        }
    }

    /// The alerts in short, the newest first.
    pub(super) fn alerts(&self) -> Vec<String> {
        self.look.iter().flat_map(|look| &look.alerts).map(|alert| visible(&short(alert))).collect()
    }
}

fn figures(line: &SpendLine, rate: Option<&Rate>, total: &SpendLine) -> Spender {
    let share = match (line.cost_usd, total.cost_usd) {
        (Some(part), Some(whole)) => share(units(part), units(whole)),
        // Of an unknown cost no share is known.
        (None, Some(_)) => "?".to_owned(),
        (_, None) => share(line.tokens, total.tokens),
    };
    let signed = |number: i128, text: String| if number > 0 { format!("+{text}") } else { text };
    let changed = |number: i128, text: fn(i128) -> String| match number {
        0 => String::new(),
        n => signed(n, text(n)),
    };
    Spender {
        name: String::new(),
        cost: line.cost_usd.map_or_else(|| "unknown".to_owned(), |cost| money(units(cost))),
        cost_rate: rate.map_or_else(String::new, |rate| changed(rate.cost, money)),
        share,
        tokens: grouped(line.tokens),
        token_rate: rate.map_or_else(String::new, |rate| changed(rate.tokens, compact)),
        calls: grouped(line.events.into()),
        unpriced: if line.unpriced_events == 0 {
            String::new()
        } else {
            grouped(line.unpriced_events.into())
        },
    }
}

/// Dollars for the screen. What is there is never shown as nothing.
pub(super) fn money(units: i128) -> String {
    let shown = dollars(units, PLACES);
    let nothing = dollars(0, PLACES);
    if units != 0 && shown == nothing { format!("<{}", dollars(100_000_000_000, PLACES)) } else { shown }
}

fn change(before: Option<&SpendLine>, now: &SpendLine, since: Duration) -> Rate {
    let cost = |line: &SpendLine| line.cost_usd.map_or(0, units);
    let millis = i128::try_from(since.as_millis()).unwrap_or(i128::MAX).max(1);
    let minute = |now: i128, before: i128| {
        now.saturating_sub(before).checked_mul(60_000).map_or(i128::MAX, |change| change / millis)
    };
    Rate {
        tokens: minute(now.tokens, before.map_or(0, |line| line.tokens)),
        cost: minute(cost(now), before.map_or(0, cost)),
    }
}

/// An alert in a line, at the time of its budget's zone.
fn short(alert: &Alert) -> String {
    let at = alert.at.to_zoned_datetime(alert.timezone.rules().clone()).strftime("%m-%d %H:%M").to_string();
    let what = match alert.kind {
        AlertKind::Threshold => format!("{}% reached", alert.threshold_percent),
        AlertKind::Recovered => format!("back below {}%", alert.threshold_percent),
        AlertKind::Unpriced => format!("no price for {} tokens", grouped(alert.unpriced_tokens)),
        AlertKind::Priced => "nothing is left without a price".to_owned(),
    };
    let blocked = alert.unpriced.as_ref().is_some_and(|unpriced| unpriced.blocked);
    let what = if blocked { format!("{what} (blocked by usage without a price)") } else { what };
    let tokens = grouped(alert.spend_tokens);
    let spent = match (alert.limit_usd, alert.spend_usd, alert.limit_tokens) {
        (Some(limit), Some(spend), _) => {
            format!("{} of {}", dollars(units(spend), 2), dollars(units(limit.into()), 2))
        }
        (Some(limit), None, _) => format!("an unknown part of {}", dollars(units(limit.into()), 2)),
        (None, _, Some(limit)) => format!("{tokens} of {} tokens", grouped(limit.into())),
        (None, _, None) => format!("{tokens} tokens"),
    };
    let (budget, scope, zone) = (&alert.budget, &alert.scope, alert.timezone.name());
    let zone = if zone == "UTC" { String::new() } else { format!(" ({zone})") };
    format!("{at}  {budget}: {what}, {spent} by {scope}{zone}")
}
