//! What the nth submission is. It follows from the seed and n alone: it can be sent again as it was, and the own ledger
//! needs to keep no more than which numbers have a receipt.

use std::fmt::Write;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::bodies::Body;
use super::reader::Scope;
use super::scenario::Scenario;

/// A model that the load names, with the dollars of a million tokens, in millionths: what a token costs in 10^-12 dollars.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    provider: &'static str,
    /// Input, cache read, output; none if no price book can know it.
    pub(crate) prices: Option<[i128; 3]>,
}

/// Prices as the providers' pages state them (November 2026).
pub(crate) const MODELS: [Model; 4] = [
    Model { name: "gpt-4o-mini", provider: "openai", prices: Some([150_000, 75_000, 600_000]) },
    Model { name: "gpt-4.1-mini", provider: "openai", prices: Some([400_000, 100_000, 1_600_000]) },
    Model { name: "claude-haiku-4-5", provider: "anthropic", prices: Some([1_000_000, 100_000, 5_000_000]) },
    Model { name: "loadtest-unknown-1", provider: "in-house", prices: None },
];

/// How far back the submission is that is sent again, or corrected, at most.
const BACK: u64 = 2_000;
/// From this number on they are those of slow clients, so many for each: what arrives never comes to it.
pub(crate) const SLOW: u64 = 1 << 28;
pub(crate) const OF_A_SLOW_CLIENT: u64 = 10_000;
/// How many different hours late calls are of, and how far they are apart: 33 days in all.
const LATE_HOURS: u64 = 24;
const LATE_APART: i64 = 33;

/// All submissions of a run.
pub(crate) struct Submissions {
    /// Names of agents, ids and keys begin with it, so that runs on one deployment keep apart.
    pub(crate) run: String,
    /// Whether they are of a team of their own. With a token, they are of the token's.
    pub(crate) own_team: bool,
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    /// When the run began: calls are of that time on.
    pub(crate) began: Timestamp,
    /// What is sent if providers' bodies are.
    pub(crate) bodies: Vec<Body>,
}

/// What one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events; late, if they are of an hour that is long over.
    Usage { late: bool },
    /// Takes this event of this submission back.
    Void { of: u64, event: u32 },
    /// Has to be refused.
    Invalid,
}

/// One submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submission {
    /// Its number: of one that is sent again, the number that it was sent with first.
    pub(crate) n: u64,
    pub(crate) agent: u32,
    pub(crate) kind: Kind,
}

/// One event of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) model: usize,
    /// Input, cache read, output.
    pub(crate) tokens: [u32; 3],
    pub(crate) time: Timestamp,
}

impl Event {
    pub(crate) fn total(&self) -> i64 {
        self.tokens.iter().map(|n| i64::from(*n)).sum()
    }

    /// In 10^-12 dollars; none if the model has no price.
    pub(crate) fn cost(&self) -> Option<i128> {
        let prices = MODELS.get(self.model)?.prices?;
        Some(self.tokens.iter().zip(prices).map(|(n, price)| i128::from(*n) * price).sum())
    }
}

/// A request, but for what the connection adds.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Lines of the head, each with its end.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Submissions {
    /// What the agent is called.
    pub(crate) fn agent(&self, agent: u32) -> String {
        format!("{}-{agent:05}", self.run)
    }

    /// What is of this run, and nothing else.
    pub(crate) fn scope(&self) -> Scope {
        if self.own_team { Scope::Team(self.run.clone()) } else { Scope::Agents(format!("{}-", self.run)) }
    }

    fn rng(&self, n: u64, part: u64) -> Rng {
        // Neighbouring seeds give neighbouring first values.
        let mut rng = Rng::with_seed(
            self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(4).wrapping_add(part),
        );
        rng.u64(..);
        rng
    }

    /// The nth arrival.
    pub(crate) fn submission(&self, n: u64) -> Submission {
        let mut n = n;
        if let Some(slow) = n.checked_sub(SLOW) {
            let client = u32::try_from(slow / OF_A_SLOW_CLIENT).unwrap_or(0);
            return Submission { n, agent: client % self.scenario.agents, kind: Kind::Usage { late: false } };
        }
        loop {
            let mut rng = self.rng(n, 0);
            let agent =
                if rng.u8(..100) < self.scenario.hot_percent { 0 } else { rng.u32(..self.scenario.agents) };
            let mut roll = rng.u8(..100);
            let mut is = |percent: u8| {
                let hit = roll < percent;
                roll = roll.saturating_sub(percent);
                // What was taken from the roll must not count for the next kind.
                if hit {
                    roll = u8::MAX;
                }
                hit
            };
            let (again, invalid, late, void) = (
                is(self.scenario.duplicate_percent),
                is(self.scenario.invalid_percent),
                is(self.scenario.late_percent),
                is(self.scenario.void_percent),
            );
            let before = |rng: &mut Rng| n - 1 - rng.u64(..n.min(BACK));
            if again && n > 0 {
                n = before(&mut rng);
                continue;
            }
            if invalid {
                return Submission { n, agent, kind: Kind::Invalid };
            }
            if void && n > 0 {
                let of = self.submission(before(&mut rng));
                if matches!(of.kind, Kind::Usage { .. }) {
                    let event = rng.u32(..self.scenario.events);
                    return Submission { n, agent: of.agent, kind: Kind::Void { of: of.n, event } };
                }
            }
            return Submission { n, agent, kind: Kind::Usage { late } };
        }
    }

    /// The events of a submission of usage.
    pub(crate) fn events(&self, submission: Submission) -> impl Iterator<Item = Event> {
        let mut rng = self.rng(submission.n, 1);
        let time = if submission.kind == (Kind::Usage { late: true }) {
            let hours = LATE_APART * (1 + i64::try_from(rng.u64(..LATE_HOURS)).unwrap_or(0));
            self.began - SignedDuration::from_hours(hours)
        } else if submission.n >= SLOW {
            self.began
        } else {
            let apart = 1_000 * u64::from(self.scenario.events);
            let ms = submission.n.saturating_mul(apart) / u64::from(self.scenario.rate);
            self.began + SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0))
        };
        (0..self.scenario.events).map(move |_| {
            let model = match rng.u8(..100) {
                0..50 => 0,
                50..75 => 1,
                75..95 => 2,
                _ => 3,
            };
            Event { model, tokens: [rng.u32(20..3_000), rng.u32(..1_500), rng.u32(1..800)], time }
        })
    }

    /// The recorded body of a submission.
    pub(crate) fn body(&self, submission: Submission) -> Option<&Body> {
        let most = self.bodies.len();
        if most == 0 { None } else { self.bodies.get(self.rng(submission.n, 1).usize(..most)) }
    }

    /// The id of an event.
    pub(crate) fn id(&self, n: u64, event: u32) -> String {
        if self.sealed() { format!("{}-{n}#{event}", self.run) } else { format!("{}-{n}", self.run) }
    }

    fn sealed(&self) -> bool {
        self.scenario.events > 1 || !self.bodies.is_empty()
    }

    /// Writes the request of a submission.
    pub(crate) fn render(&self, submission: Submission, out: &mut Request) {
        out.headers.clear();
        out.body.clear();
        let (run, n) = (&self.run, submission.n);
        let agent = self.agent(submission.agent);
        // Writing to a string cannot fail, here and below.
        let _ = write!(out.headers, "x-agent-id: {agent}\r\n");
        if self.own_team {
            let _ = write!(out.headers, "x-team-id: {run}\r\n");
        }
        if let Kind::Void { of, event } = submission.kind {
            let id = self.id(of, event);
            out.headers.push_str("content-type: application/json\r\n");
            out.body.extend_from_slice(
                format!(r#"{{"type":"void","id":"{run}-void-{n}","corrects":"{id}"}}"#).as_bytes(),
            );
            return;
        }
        if self.sealed() {
            let _ = write!(out.headers, "idempotency-key: {run}-{n}\r\n");
        }
        if let Some(body) = self.body(submission) {
            out.headers.push_str(&body.headers);
            out.body.extend_from_slice(&body.bytes);
            return;
        }
        out.headers.push_str("content-type: application/json\r\n");
        let mut text = String::with_capacity(200 * usize::try_from(self.scenario.events).unwrap_or(1));
        let mut rng = self.rng(n, 2);
        let faulty = (submission.kind == Kind::Invalid).then(|| rng.u32(..self.scenario.events));
        if self.scenario.events > 1 {
            text.push_str("{\"events\":[");
        }
        for (i, event) in (0..).zip(self.events(submission)) {
            if i > 0 {
                text.push(',');
            }
            text.push('{');
            if !self.sealed() {
                let _ = write!(text, r#""id":"{}","#, self.id(n, i));
            }
            let Some(model) = MODELS.get(event.model) else { continue };
            let [input, cached, output] = event.tokens;
            let bucket = if faulty == Some(i) { "inputs" } else { "input" };
            let _ = write!(
                text,
                r#""time":"{}","task_id":"{run}-t{}","provider":"{}","model":"{}","usage":{{"{bucket}":{input},"cache_read":{cached},"output":{output}}},"outcome":"success"}}"#,
                event.time,
                n % 200,
                model.provider,
                model.name,
            );
        }
        if self.scenario.events > 1 {
            text.push_str("]}");
        }
        out.body.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn submissions(more: &str) -> Submissions {
        Submissions {
            run: "L1".to_owned(),
            own_team: true,
            scenario: toml::from_str(&format!("about = \"\"\nagents = 7\nrate = 100\n{more}")).unwrap(),
            seed: 5,
            began: "2026-11-24T10:20:30Z".parse().unwrap(),
            bodies: Vec::new(),
        }
    }

    #[test]
    fn kinds_come_in_the_shares_asked_for() {
        let all = submissions(
            "events = 3\nduplicate_percent = 10\ninvalid_percent = 2\nlate_percent = 5\nvoid_percent = 3\n",
        );
        let (mut again, mut invalid, mut late, mut void) = (0, 0, 0, 0);
        for n in 0..20_000 {
            let submission = all.submission(n);
            again += u32::from(submission.n != n);
            if submission.n == n {
                invalid += u32::from(submission.kind == Kind::Invalid);
                late += u32::from(submission.kind == Kind::Usage { late: true });
                void += u32::from(matches!(submission.kind, Kind::Void { .. }));
            }
        }
        for (count, expected) in [(again, 2_000), (invalid, 400), (late, 1_000), (void, 600)] {
            assert!(
                (expected * 8 / 10..expected * 12 / 10).contains(&count),
                "{count} instead of {expected}"
            );
        }
    }

    #[test]
    fn a_void_names_an_event_of_the_same_agent_and_what_is_sent_again_is_the_same() {
        let all = submissions("events = 3\nduplicate_percent = 20\nvoid_percent = 20\n");
        let (mut one, mut two) = (Request::default(), Request::default());
        for n in 0..3_000 {
            let submission = all.submission(n);
            if let Kind::Void { of, event } = submission.kind {
                assert_eq!(all.submission(of).agent, submission.agent);
                assert_eq!(all.submission(of).n, of);
                assert!(event < 3);
            }
            all.render(submission, &mut one);
            all.render(all.submission(submission.n), &mut two);
            assert_eq!((&one.headers, &one.body), (&two.headers, &two.body));
            let json: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
            assert!(json["type"] == "void" || json["events"].as_array().unwrap().len() == 3);
        }
    }
}
