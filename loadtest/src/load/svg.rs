//! A plot of lines over time, as SVG.

use crate::text::grouped;
use std::fmt::Write;

/// A line of a plot.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) colour: &'static str,
    /// One value for each moment.
    pub(crate) values: Vec<u64>,
}

/// A plot: moments from left to right, values from zero to the largest.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the values are in.
    pub(crate) unit: &'static str,
    /// Seconds from one moment to the next.
    pub(crate) apart: u64,
    /// A moment to mark, in seconds, and what it was.
    pub(crate) mark: Option<(u64, String)>,
    pub(crate) lines: Vec<Line>,
}

const WIDTH: u64 = 900;
const HEIGHT: u64 = 260;
const LEFT: u64 = 80;
const TOP: u64 = 44;
const BOTTOM: u64 = 30;

impl Plot {
    /// The picture.
    pub(crate) fn draw(&self) -> String {
        let moments = self.lines.iter().map(|line| line.values.len()).max().unwrap_or(0).max(2);
        let last = u64::try_from(moments - 1).unwrap_or(1);
        let most = self.lines.iter().flat_map(|line| &line.values).copied().max().unwrap_or(0);
        let top = round_up(most.max(1));
        let (right, bottom) = (WIDTH - 20, HEIGHT - BOTTOM);
        let x = |moment: u64| LEFT + (right - LEFT) * moment / last;
        let y = |value: u64| bottom - (bottom - TOP) * value.min(top) / top;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"18\" font-size=\"14\" fill=\"#111\">{title}</text>\n",
            title = escaped(&self.title)
        );
        // Writing to a string cannot fail, here and below.
        for step in 0..=4 {
            let value = top * step / 4;
            let at = y(value);
            let _ =
                writeln!(out, "<line x1=\"{LEFT}\" y1=\"{at}\" x2=\"{right}\" y2=\"{at}\" stroke=\"#ddd\"/>");
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#444\">{} {}</text>",
                LEFT - 6,
                at + 4,
                grouped(value),
                self.unit
            );
        }
        for step in 0..=6 {
            let moment = last * step / 6;
            let seconds = moment * self.apart;
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#444\">{seconds} s</text>",
                x(moment),
                bottom + 18
            );
        }
        if let Some((second, what)) = &self.mark {
            let at = x((second / self.apart.max(1)).min(last));
            let _ = writeln!(
                out,
                "<line x1=\"{at}\" y1=\"{TOP}\" x2=\"{at}\" y2=\"{bottom}\" stroke=\"#999\" stroke-dasharray=\"4 3\"/>"
            );
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" fill=\"#555\">{}</text>",
                at + 4,
                TOP + 12,
                escaped(what)
            );
        }
        let mut legend = right;
        for line in self.lines.iter().rev() {
            legend = legend.saturating_sub(30 + 7 * u64::try_from(line.name.len()).unwrap_or(0));
            let _ = writeln!(
                out,
                "<rect x=\"{legend}\" y=\"26\" width=\"14\" height=\"4\" fill=\"{}\"/>",
                line.colour
            );
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"32\" fill=\"#333\">{}</text>",
                legend + 18,
                escaped(&line.name)
            );
        }
        for line in &self.lines {
            let points: Vec<_> = (0..)
                .zip(&line.values)
                .map(|(moment, value)| format!("{},{}", x(moment), y(*value)))
                .collect();
            let _ = writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" stroke-linejoin=\"round\" points=\"{}\"/>",
                line.colour,
                points.join(" ")
            );
        }
        out.push_str("</svg>\n");
        out
    }
}

/// The next of 1, 2, 4, 5, 8, 10, 20, …: fours of it are whole, mostly.
fn round_up(value: u64) -> u64 {
    let mut ten = 1;
    loop {
        for step in [1, 2, 4, 8] {
            if step * ten >= value {
                return step * ten;
            }
        }
        if ten > u64::MAX / 100 {
            return value;
        }
        ten *= 10;
    }
}

/// Text in XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_stays_within_its_frame_and_its_text_is_escaped() {
        let plot = Plot {
            title: "a < b & \"c\"".to_owned(),
            unit: "ms",
            apart: 1,
            mark: Some((500, "killed".to_owned())),
            lines: vec![Line { name: "p99".to_owned(), colour: "#07c", values: vec![0, 950, 12_345] }],
        };
        let svg = plot.draw();
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;"));
        assert!(svg.contains("20,000 ms"));
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            assert!(
                (LEFT..=WIDTH).contains(&x.parse().unwrap()) && (TOP..=HEIGHT).contains(&y.parse().unwrap()),
                "{point}"
            );
        }
        assert_eq!(points.split(' ').next(), Some("80,230"));
    }
}
