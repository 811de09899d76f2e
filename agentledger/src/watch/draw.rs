//! The view on a terminal: a pure function of it and of the terminal's size.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use super::view::{Spender, View};
use crate::figures::grouped;

/// The most lines of alerts; the rest is for spenders.
const ALERTS: u16 = 6;
/// A name is cut before it is narrower than this, and a column of figures is left out before that.
const NAME: u16 = 16;
const GAP: u16 = 2;

/// A column of figures: its heading, its least width, and what stands in it.
struct Column(&'static str, u16, fn(&Spender) -> &str);

/// In the order of the screen.
const COLUMNS: [Column; 7] = [
    Column("cost", 12, |s| &s.cost),
    Column("cost/min", 11, |s| &s.cost_rate),
    Column("share", 6, |s| &s.share),
    Column("tokens", 13, |s| &s.tokens),
    Column("tokens/min", 10, |s| &s.token_rate),
    Column("calls", 7, |s| &s.calls),
    Column("unpriced", 8, |s| &s.unpriced),
];
/// Which are kept longest where there is little room: indexes of [`COLUMNS`].
const KEPT: [usize; 7] = [0, 3, 6, 2, 1, 4, 5];

/// Draws the view.
pub(super) fn draw(view: &View, frame: &mut Frame<'_>) {
    let area = frame.area();
    let (health, bad) = view.health_line();
    let alerts = view.alerts();
    // Three lines of heads, one of keys; spenders need a frame, headings and two rows before alerts get any.
    let room = area.height.saturating_sub(4 + 5);
    let wanted = u16::try_from(alerts.len()).unwrap_or(ALERTS).clamp(1, ALERTS) + 2;
    let below = if room < 3 { 0 } else { wanted.min(room.div_ceil(2).max(3)) };
    let [title, totals, state, spenders, news, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(below),
        Constraint::Length(1),
    ])
    .areas(area);
    let head = format!("AgentLedger  {}, every {} s", view.place, view.interval);
    let line = |text: &str, style| Paragraph::new(Line::styled(cut(text, area.width), style));
    frame.render_widget(line(&head, Style::new().add_modifier(Modifier::BOLD)), title);
    frame.render_widget(line(&view.totals_line(), Style::new()), totals);
    let colour = if bad { Color::Red } else { Color::Green };
    frame.render_widget(line(&health, Style::new().fg(colour)), state);
    draw_spenders(view, frame, spenders);
    if below > 0 {
        draw_alerts(&alerts, frame, news);
    }
    let help = "q quit   1/a agents   2/t teams   3/m models   up/down scroll";
    frame.render_widget(line(help, Style::new().add_modifier(Modifier::DIM)), keys);
}

/// `text` in so many columns; what does not fit is marked.
fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if Span::raw(kept.as_str()).width() >= width {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

fn draw_spenders(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let rows = view.spenders();
    let title = match rows.len() {
        0 => format!(" by {} ", view.by.name()),
        n => {
            let first = view.scroll + 1;
            let more = view.look.as_ref().is_some_and(|look| look.spend.next.is_some());
            format!(
                " by {}, from {first} of {}{} ",
                view.by.name(),
                grouped_len(n),
                if more { "+" } else { "" }
            )
        }
    };
    let block = Block::new().borders(Borders::TOP | Borders::BOTTOM).title(title);
    if rows.is_empty() {
        let text = if view.look.is_some() { "nothing is counted yet" } else { "" };
        frame.render_widget(Paragraph::new(text).block(block), area);
        return;
    }
    let shown = columns(area.width);
    let figures: u16 = shown.iter().map(|column| column.1 + GAP).sum();
    let name = area.width.saturating_sub(figures);
    let right = |text: &str| Cell::new(Line::raw(text.to_owned()).alignment(Alignment::Right));
    let heads = shown.iter().map(|column| right(column.0));
    let header = Row::new([Cell::new(view.by.name())].into_iter().chain(heads))
        .style(Style::new().add_modifier(Modifier::BOLD));
    let row = |spender: &Spender| {
        let figures = shown.iter().map(|column| right((column.2)(spender)));
        let row = Row::new([Cell::new(cut(&spender.name, name))].into_iter().chain(figures));
        // What costs an unknown amount must not look like what costs little.
        if spender.unpriced.is_empty() { row } else { row.style(Style::new().fg(Color::Yellow)) }
    };
    let table = Table::new(
        rows.iter().skip(view.scroll).map(row),
        [Constraint::Length(name)].into_iter().chain(shown.iter().map(|column| Constraint::Length(column.1))),
    )
    .header(header)
    .column_spacing(GAP)
    .block(block);
    frame.render_widget(table, area);
}

fn grouped_len(len: usize) -> String {
    grouped(i128::try_from(len).unwrap_or(i128::MAX))
}

/// The columns that fit beside a name, in the order of the screen.
fn columns(width: u16) -> Vec<&'static Column> {
    let mut room = width.saturating_sub(NAME);
    let mut kept = Vec::new();
    for index in KEPT {
        let needed = COLUMNS[index].1 + GAP;
        if needed > room {
            break;
        }
        room -= needed;
        kept.push(index);
    }
    kept.sort_unstable();
    kept.into_iter().map(|index| &COLUMNS[index]).collect()
}

fn draw_alerts(alerts: &[String], frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::BOTTOM).title(" alerts, newest first ");
    let lines: Vec<Line<'_>> = match alerts {
        [] => vec![Line::raw("none")],
        alerts => alerts.iter().map(|alert| Line::raw(cut(alert, area.width))).collect(),
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
