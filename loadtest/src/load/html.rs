//! The figures of a run as a page of its own: nothing is loaded from elsewhere.

use super::outcome::Outcome;
use super::svg::{Line, Plot, escaped};
use super::table::summary;

/// The page.
pub(crate) fn page(outcome: &Outcome) -> String {
    let moments = &outcome.over_time;
    let apart = moments.get(1).map_or(1, |moment| moment.second.max(1));
    let of = |value: fn(&super::outcome::Moment) -> u64| moments.iter().map(value).collect::<Vec<_>>();
    let killed = outcome
        .plan
        .restart_percent
        .map(|percent| (outcome.seconds * u64::from(percent) / 100, "killed".to_owned()));
    let line = |name: &str, colour, values| Line { name: name.to_owned(), colour, values };
    let latency = Plot {
        title: "Latency from the arrival to the receipt, by the second of the arrival".to_owned(),
        unit: "µs",
        apart,
        mark: killed.clone(),
        lines: vec![
            line("p50", "#2a9d5c", of(|m| m.latency_us.p50)),
            line("p99", "#0b6bcb", of(|m| m.latency_us.p99)),
            line("max", "#c2410c", of(|m| m.latency_us.max)),
        ],
    };
    let each = |value: u64| value / apart;
    let throughput = Plot {
        title: "Events with a receipt".to_owned(),
        unit: "/s",
        apart,
        mark: killed,
        lines: vec![line("accepted", "#0b6bcb", of(|m| m.events_accepted).into_iter().map(each).collect())],
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>Load: {name}</title>\n<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}}pre{{overflow-x:auto;font-size:13px;line-height:1.35}}svg{{width:100%;height:auto;border:1px solid #ddd;margin:.5rem 0}}</style>\n<h1>Load: {name}</h1>\n<p>{about}. {seconds} seconds, seed {seed}, {at}.</p>\n{latency}{throughput}<pre>{table}</pre>\n</html>\n",
        name = escaped(&outcome.scenario),
        about = escaped(&outcome.plan.about),
        seconds = outcome.seconds,
        seed = outcome.seed,
        at = escaped(&outcome.at),
        latency = latency.draw(),
        throughput = throughput.draw(),
        table = escaped(&summary(outcome)),
    )
}
