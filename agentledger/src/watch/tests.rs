use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::draw::draw;
use super::look::Look;
use super::plain::snapshot;
use super::view::{View, Wish, money};
use crate::cli::WatchBy;

fn line(name: Option<&str>, events: i64, tokens: i64, cost: Option<&str>, unpriced: i64) -> Value {
    json!({"key": {"agent": name}, "events": events, "tokens": tokens, "usage": {}, "cost_usd": cost,
        "unpriced_events": unpriced, "unpriced_tokens": unpriced * 10})
}

fn report(rows: &[Value], total: &Value) -> Value {
    json!({"by": ["agent"], "from": "", "to": "", "tz": "UTC", "rows": rows, "total": total, "next": null})
}

fn alert() -> Value {
    json!({"id": "b.v1.20261124T000000Z.80.1", "budget": "growth-day", "budget_version": 1, "scope": "team:growth",
        "kind": "threshold", "threshold_percent": 80, "episode": 1, "period": "day",
        "period_start": "2026-11-24T00:00:00Z", "period_end": "2026-11-25T00:00:00Z", "timezone": "UTC",
        "spend_usd": "8.125", "spend_tokens": 3000, "unpriced_tokens": 0, "limit_usd": "10", "limit_tokens": null,
        "late": false, "top": [], "at": "2026-11-24T21:34:19Z", "state": "delivered"})
}

fn health(trouble: Option<&str>) -> Value {
    json!({"status": if trouble.is_some() { "degraded" } else { "ok" }, "new": 1, "pipeline": {
        "stream": [{"source": "s", "latest": 5, "consumed": 3, "trouble": trouble}],
        "changes": {"source": "changes", "latest": 1, "consumed": 1, "trouble": null}, "rejected": 4,
        "counts": {"events": 1, "tokens": 1, "unpriced": 0, "duplicates": 0, "conflicts": 1, "quarantined": 0}}})
}

fn look(spend: Value, alerts: &[Value], health: Option<Value>) -> Look {
    Look {
        spend: serde_json::from_value(spend).unwrap(),
        alerts: alerts.iter().map(|alert| serde_json::from_value(alert.clone()).unwrap()).collect(),
        health: health.map(|health| serde_json::from_value(health).unwrap()),
    }
}

fn two(tokens: i64, cost: &str) -> Look {
    let rows =
        vec![line(Some("researcher-7"), 10, tokens, Some(cost), 0), line(Some("house"), 3, 30, None, 3)];
    look(report(&rows, &line(None, 13, tokens + 30, Some(cost), 3)), &[alert()], Some(health(None)))
}

fn view() -> View {
    View::new("http://127.0.0.1:8080", WatchBy::Agent, 2)
}

fn seen(look: Look) -> View {
    let mut view = view();
    view.see(WatchBy::Agent, Ok(look), Instant::now());
    view
}

/// What the terminal shows, line by line.
fn shown(view: &View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(view, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let cells: Vec<&str> = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
    cells.chunks(width.into()).map(|row| row.concat().trim_end().to_owned()).collect()
}

#[test]
fn the_whole_screen_at_its_usual_size() {
    let start = Instant::now();
    let mut view = view();
    view.see(WatchBy::Agent, Ok(two(1_000, "8")), start);
    view.see(WatchBy::Agent, Ok(two(2_500, "8.125")), start + Duration::from_secs(30));
    assert_eq!(
        shown(&view, 100, 14),
        [
            "AgentLedger  http://127.0.0.1:8080, every 2 s",
            "13 calls, 2,530 tokens, $8.1250, unpriced 3 calls with 30 tokens; +$0.2500/min; +3.0k tokens/min",
            "pipeline ok: lag 2, rejected 4, conflicts 1, quarantined 0",
            " by agent, from 1 of 2 ─────────────────────────────────────────────────────────────────────────────",
            "agent                        cost     cost/min   share         tokens  tokens/min    calls  unpriced",
            "researcher-7              $8.1250     +$0.2500  100.0%          2,500       +3.0k       10",
            "house                     unknown                    ?             30                    3         3",
            "",
            "",
            "────────────────────────────────────────────────────────────────────────────────────────────────────",
            " alerts, newest first",
            "11-24 21:34  growth-day: 80% reached, $8.13 of $10.00 by team:growth",
            "────────────────────────────────────────────────────────────────────────────────────────────────────",
            "q quit   1/a agents   2/t teams   3/m models   up/down scroll",
        ]
    );
}

#[test]
fn every_size_can_be_drawn_and_small_ones_keep_what_matters() {
    let views = [view(), seen(two(1_000, "8"))];
    for view in &views {
        for (width, height) in (1..30).flat_map(|h| [1, 5, 20, 40, 80, 200].map(|w| (w, h))) {
            shown(view, width, height);
        }
    }
    let small = shown(&views[1], 50, 8).join("\n");
    for words in ["researcher-7", "$8.0000", "1,000", "q quit", "pipeline ok"] {
        assert!(small.contains(words), "{words} is not in\n{small}");
    }
    assert!(!small.contains("alerts"), "{small}");
}

#[test]
fn what_was_not_seen_yet_or_is_empty_says_so() {
    let all = |view: &View| shown(view, 80, 12).join("\n");
    let nothing = all(&view());
    assert!(nothing.contains("no answer yet") && nothing.contains("asking"), "{nothing}");
    let empty = seen(look(report(&[], &line(None, 0, 0, None, 0)), &[], None));
    let shown = all(&empty);
    for words in ["nothing is counted yet", "none", "no server"] {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    assert!(!shown.contains('$'), "an unknown cost is not $0: {shown}");
}

#[test]
fn names_cannot_move_the_cursor_and_long_ones_are_cut() {
    let evil = "a\u{1b}[2J\u{7}\r\n\u{202e}b";
    let long = "x".repeat(300);
    let rows = vec![line(Some(evil), 1, 1, None, 1), line(Some(&long), 1, 1, None, 1)];
    let total = line(None, 2, 2, None, 2);
    let mut view = seen(look(report(&rows, &total), &[], Some(health(Some("disk\u{1b}[31m")))));
    for text in [shown(&view, 80, 12).join("\n"), snapshot(&view, jiff::Timestamp::UNIX_EPOCH)] {
        let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(hidden), "{text:?}");
        assert!(text.contains("a\u{fffd}[2J"), "{text}");
        assert!(text.contains("disk"), "{text}");
    }
    assert!(shown(&view, 80, 12).iter().any(|line| line.contains("xxxx…") && line.contains("unknown")));
    view.see(WatchBy::Agent, Err("gone\u{1b}".to_owned()), Instant::now());
    let (words, bad) = view.health_line();
    assert!(bad && words == "trying again, what is shown is old: gone\u{fffd}", "{words}");
}

#[test]
fn another_dimension_starts_anew_and_late_answers_to_the_old_one_are_left() {
    let mut view = seen(two(1_000, "8"));
    assert!(view.wish(Wish::Scroll(isize::MAX)));
    assert_eq!(view.scroll, 1);
    assert!(view.wish(Wish::Scroll(isize::MIN)) && view.scroll == 0);
    assert!(view.wish(Wish::Scroll(1)) && view.wish(Wish::By(WatchBy::Team)));
    assert!(view.look.is_none() && view.scroll == 0);
    view.see(WatchBy::Agent, Ok(two(1, "1")), Instant::now());
    assert!(view.look.is_none());
    view.see(WatchBy::Team, Ok(two(1, "1")), Instant::now());
    assert!(view.look.is_some());
    assert!(!view.wish(Wish::Quit));
}

#[test]
fn little_is_not_shown_as_nothing_and_shares_follow_tokens_where_no_cost_is_known() {
    assert_eq!([money(0), money(1), money(50_000_000_000)], ["$0.0000", "<$0.0001", "$0.0001"]);
    let rows = vec![line(Some("a"), 1, 30, None, 1), line(Some("b"), 1, 10, None, 1)];
    let view = seen(look(report(&rows, &line(None, 2, 40, None, 2)), &[], None));
    let shares: Vec<_> = view.spenders().into_iter().map(|spender| spender.share).collect();
    assert_eq!(shares, ["75.0%", "25.0%"]);
}
