//! Plays the day: sends each submission over HTTP when its time has come.
//!
//! One after the other. So what is first, where only the first stands, is the same in each run.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::behaviour::{DAY, MINUTE, Millis};
use super::clock::{Day, DayClock};
use super::scenario::{Post, Scenario};
use super::wire::{Request, request};
use crate::stop::Stop;

/// How often one submission is sent before the demo gives up: the server is in the same process.
const ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);
/// Simulated time between two words on how far it is, and the longest real time.
const REPORT_EVERY: Millis = 30 * MINUTE;
const REPORT_LATEST: Duration = Duration::from_secs(15);

/// What the player needs.
pub(super) struct Player<'a> {
    pub(super) url: &'a str,
    pub(super) day: &'a Day,
    pub(super) clock: &'a DayClock,
    /// Simulated seconds in a second.
    pub(super) speed: u32,
    pub(super) stop: &'a Stop,
}

/// What there is to tell while the day is played.
pub(super) enum News<'a> {
    /// Something happened.
    Story(&'a str),
    /// Time for a word on how far it is.
    Progress,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Player<'_> {
    /// Plays the whole day; false if it was stopped before its end.
    pub(super) fn play(
        &self,
        scenario: &Scenario,
        mut tell: impl FnMut(News<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_redirects(0)
            // The server is this process.
            .proxy(None)
            .build()
            .into();
        let began = Instant::now();
        let mut story = scenario.story.iter().peekable();
        let (mut reported, mut report_at) = (Instant::now(), REPORT_EVERY);
        for post in &scenario.posts {
            while let Some(wait) = self.due(post.at).checked_sub(began.elapsed()).filter(|w| !w.is_zero()) {
                // In steps, so that the clock moves on also where nothing is sent for long.
                if self.stop.wait(wait.min(Duration::from_secs(1))) {
                    return Ok(false);
                }
                self.clock.advance(self.now(began.elapsed()).min(post.at));
            }
            self.clock.advance(post.at);
            while let Some((_, words)) = story.next_if(|(at, _)| *at <= post.at) {
                tell(News::Story(words))?;
            }
            if post.at >= report_at || reported.elapsed() >= REPORT_LATEST {
                report_at = (post.at / REPORT_EVERY + 1) * REPORT_EVERY;
                reported = Instant::now();
                tell(News::Progress)?;
            }
            if !self.send(&agent, post)? {
                return Ok(false);
            }
        }
        self.clock.advance(DAY);
        Ok(true)
    }

    /// How long after the start the simulated instant comes.
    fn due(&self, at: Millis) -> Duration {
        Duration::from_millis(at) / self.speed
    }

    /// The simulated instant so long after the start.
    fn now(&self, elapsed: Duration) -> Millis {
        let simulated = elapsed.as_millis().saturating_mul(u128::from(self.speed));
        Millis::try_from(simulated).unwrap_or(Millis::MAX)
    }

    /// Sends until there is a receipt; false if it was stopped before.
    fn send(&self, agent: &ureq::Agent, post: &Post) -> anyhow::Result<bool> {
        let Request { headers, body } = request(post, self.day.start);
        let body = body.to_string();
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let mut request = agent
                .post(format!("{}/v1/usage", self.url))
                .header(http::header::CONTENT_TYPE, "application/json");
            for (name, value) in &headers {
                request = request.header(*name, value);
            }
            match request.send(&body) {
                Ok(mut response) => {
                    let status = response.status().as_u16();
                    let text = response.body_mut().read_to_string().context("a receipt cannot be read")?;
                    if status == 200 {
                        return Ok(true);
                    }
                    let detail = serde_json::from_str(&text).map_or(text, |problem: Problem| problem.detail);
                    last = format!("{status}, {detail}");
                    if status < 500 && status != 429 {
                        break;
                    }
                }
                Err(error) => last = error.to_string(),
            }
            if self.stop.wait(BETWEEN_ATTEMPTS) {
                return Ok(false);
            }
        }
        bail!("a submission of {} got no receipt: {last}", post.agent)
    }
}
