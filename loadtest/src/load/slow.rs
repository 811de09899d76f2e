//! Clients behind a bad line: they send a valid submission in small pieces over seconds. Every eighth never ends its
//! request, and has to be turned away without being counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::play::{Run, ended};
use super::submission::{OF_A_SLOW_CLIENT, Request, SLOW};
use crate::wire::Connection;

/// In how many pieces one is sent.
const PIECES: usize = 20;
/// The pause before each.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer than a server waits for a request.
const NEVER: Duration = Duration::from_secs(45);

pub(super) async fn client(run: Arc<Run>, client: u32, begin: Instant) -> anyhow::Result<()> {
    let until = begin + run.span;
    let mut n = SLOW + OF_A_SLOW_CLIENT * u64::from(client);
    let (mut request, mut bytes) = (Request::default(), Vec::new());
    let mut connection = Connection::new(run.target.endpoint.clone());
    let endless = client % 8 == 7;
    while Instant::now() < until {
        n += 1;
        let submission = run.all.submission(n);
        run.all.render(submission, &mut request);
        request.headers.push_str(&run.target.authorization);
        run.target.endpoint.post(&mut bytes, "/v1/usage", &request.headers, &request.body);
        let pieces: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(PIECES)).collect();
        if endless {
            let [first, ..] = pieces.as_slice() else { continue };
            // One piece, and then nothing until the server has lost its patience.
            let left = until.saturating_duration_since(Instant::now()).min(NEVER);
            match tokio::time::timeout(left, connection.send_slowly(&[*first], PAUSE)).await {
                Ok(Ok(answer)) if answer.status == 200 => {
                    anyhow::bail!("a request that did not end was accepted: {}", answer.body);
                }
                Ok(_) => run.seen().slow[1] += 1,
                Err(_) => {}
            }
            connection = Connection::new(run.target.endpoint.clone());
            continue;
        }
        let due = Instant::now();
        loop {
            let answer = connection.send_slowly(&pieces, PAUSE).await;
            if let Ok(answer) = &answer
                && ended(answer, submission)?
            {
                run.note_slow(submission, begin);
                break;
            }
            run.seen().retries += 1;
            anyhow::ensure!(
                due.elapsed() < Duration::from_secs(120),
                "a slow client had no receipt for 120 s: {answer:?}"
            );
        }
    }
    Ok(())
}
