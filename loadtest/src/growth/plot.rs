//! The plot: a column of panels for what grows, each with both axes logarithmic, as SVG.

#![expect(clippy::float_arithmetic, reason = "drawing")]

use std::fmt::Write;

use super::fit::float;
use super::measure::{MEASURES, PANELS, Series, Unit};

const WIDTH: f64 = 610.0;
const HEIGHT: f64 = 250.0;
/// Around a panel's axes: the labels of values to the left, of lines to the right.
const LEFT: f64 = 74.0;
const RIGHT: f64 = 236.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 34.0;
const HEAD: f64 = 44.0;
/// Labels of lines are at least so far apart.
const LINE: f64 = 15.0;
/// Dark enough on white, and told apart by those who see fewer colours (Okabe and Ito, darkened).
const COLOURS: [&str; 6] = ["#0060a0", "#c04a00", "#007a5a", "#9a3d7a", "#8a6d00", "#404040"];

/// The whole document.
pub(super) fn render(grown: &[Series]) -> String {
    let columns = float(grown.len().max(1) as u64);
    let (width, height) = (WIDTH * columns, HEAD + HEIGHT * float(PANELS.len() as u64));
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="system-ui, sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>"##
    );
    for (column, series) in grown.iter().enumerate() {
        let x = WIDTH * float(column as u64);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            r#"<text x="{:.0}" y="20" font-size="15" font-weight="600">{} grow</text><text x="{:.0}" y="37">{}</text>"#,
            x + LEFT,
            series.of,
            x + LEFT,
            series.about
        );
        for (row, title) in PANELS.iter().enumerate() {
            panel(&mut out, series, title, x, HEAD + HEIGHT * float(row as u64));
        }
    }
    out.push_str("</svg>\n");
    out
}

/// From values to places on an axis, logarithmic, between whole decades or at least one apart.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10();
        let high = values.fold(f64::NEG_INFINITY, f64::max).log10();
        // A little room, and at least a decade: what is flat has to look flat.
        let room = ((1.0 - (high - low)) / 2.0).max(0.06);
        Self { low: low - room, high: high + room, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// 1, 2 and 5 of each decade, or the decades alone where those are many.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let decades = (-3..12).map(|decade| 10_f64.powi(decade));
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
        all.filter(|tick| (self.low..=self.high).contains(&tick.log10())).collect()
    }
}

fn panel(out: &mut String, series: &Series, title: &str, left: f64, top: f64) {
    let (x0, x1) = (left + LEFT, left + WIDTH - RIGHT);
    let (y0, y1) = (top + HEIGHT - BOTTOM, top + TOP);
    let measures: Vec<_> = MEASURES.iter().filter(|measure| measure.panel == title).collect();
    let lines: Vec<Vec<(f64, f64)>> = measures
        .iter()
        .map(|measure| series.values(measure).iter().map(|(n, v)| (float(*n), float((*v).max(1)))).collect())
        .collect();
    let points = || lines.iter().flatten();
    let Some(unit) = measures.first().map(|measure| measure.unit).filter(|_| points().count() > 0) else {
        return;
    };
    let across = Axis::of(points().map(|point| point.0), x0, x1);
    let up = Axis::of(points().map(|point| point.1), y0, y1);
    let _ = write!(out, r#"<text x="{x0:.0}" y="{:.0}" font-weight="600">{title}</text>"#, top + TOP - 12.0);
    for tick in up.ticks() {
        let y = up.place(tick);
        let _ = write!(
            out,
            r##"<path d="M{x0:.0} {y:.1}H{x1:.0}" stroke="#ddd"/><text x="{:.0}" y="{:.1}" text-anchor="end">{}</text>"##,
            x0 - 6.0,
            y + 4.0,
            label(unit, tick)
        );
    }
    for (n, _) in &series.steps {
        let x = across.place(float(*n));
        let _ = write!(
            out,
            r##"<path d="M{x:.1} {y0:.0}V{y1:.0}" stroke="#eee"/><text x="{x:.1}" y="{:.0}" text-anchor="middle">{}</text>"##,
            y0 + 16.0,
            short(float(*n))
        );
    }
    let _ = write!(out, r##"<path d="M{x0:.0} {y1:.0}V{y0:.0}H{x1:.0}" fill="none" stroke="#666"/>"##);
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let places: Vec<(f64, f64)> = line.iter().map(|(n, v)| (across.place(*n), up.place(*v))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ =
            write!(out, r#"<path d="M{}" fill="none" stroke="{colour}" stroke-width="2"/>"#, path.join("L"));
        for (x, y) in &places {
            let _ = write!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#);
        }
        ends.extend(places.last().map(|(_, y)| (*y, n)));
    }
    for (y, n) in spread(ends, y1, y0) {
        let (colour, name) = (COLOURS[n % COLOURS.len()], measures.get(n).map_or("", |m| m.label));
        let _ = write!(out, r#"<text x="{:.0}" y="{:.1}" fill="{colour}">{name}</text>"#, x1 + 10.0, y + 4.0);
    }
}

/// Moves labels apart that would lie on one another, within the panel.
fn spread(mut labels: Vec<(f64, usize)>, top: f64, bottom: f64) -> Vec<(f64, usize)> {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = top;
    for (y, _) in &mut labels {
        *y = y.max(least);
        least = *y + LINE;
    }
    let mut most = bottom;
    for (y, _) in labels.iter_mut().rev() {
        *y = y.min(most);
        most = *y - LINE;
    }
    labels
}

fn label(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Rate => short(value),
        Unit::Each => format!("{} µs", value / 1e3),
        Unit::Memory | Unit::Disk if value >= 1e9 => format!("{} GB", value / 1e9),
        Unit::Memory | Unit::Disk => format!("{} MB", value / 1e6),
        Unit::Time if value >= 1e6 => format!("{} s", value / 1e6),
        Unit::Time => format!("{} ms", value / 1e3),
    }
}

/// 300k, 10M.
fn short(n: f64) -> String {
    match n {
        1e6.. => format!("{}M", n / 1e6),
        1e3.. => format!("{}k", n / 1e3),
        _ => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::measure::Sample;

    #[test]
    fn every_measure_is_drawn_at_every_step_within_the_picture() {
        let mut series = Series::new("events", "50 agents".to_owned());
        for n in [100_000, 1_000_000] {
            let values = MEASURES.iter().map(|measure| (measure.key, n / 10)).collect();
            series.push(n, Sample { events: n, values });
        }
        let svg = render(&[series]);
        assert_eq!(svg.matches("<circle").count(), 2 * MEASURES.len());
        for measure in &MEASURES {
            assert!(svg.contains(&format!(">{}</text>", measure.label)), "{}", measure.label);
        }
        let heights = svg.split("cy=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let height: f64 = svg.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!(heights.clone().all(|y| (0.0..height).contains(&y.parse::<f64>().unwrap())));
    }

    #[test]
    fn labels_do_not_lie_on_one_another() {
        let labels = spread(vec![(50.0, 0), (51.0, 1), (99.0, 2), (100.0, 3)], 0.0, 100.0);
        assert!(labels.windows(2).all(|pair| pair[1].0 - pair[0].0 >= LINE), "{labels:?}");
        assert!(labels.iter().all(|(y, _)| (0.0..=100.0).contains(y)), "{labels:?}");
    }
}
