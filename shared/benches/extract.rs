//! How fast a response is counted and priced, in each framing.
//!
//! `cargo bench -p shared --bench extract`. With `AGENTLEDGER_CORPUS`, the recorded body of median length too.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "cases/case.rs"]
mod case;
#[path = "cases/extract.rs"]
mod cases;
#[path = "cases/timed.rs"]
mod timed;

/// The recorded body of median length among those of OpenAI's and Anthropic's that are not streamed.
fn recorded() -> Option<Vec<u8>> {
    let root = std::path::PathBuf::from(std::env::var_os("AGENTLEDGER_CORPUS")?);
    let mut bodies = Vec::new();
    for provider in ["openai", "anthropic"] {
        for file in std::fs::read_dir(root.join("cases").join(provider)).ok()? {
            let case = std::fs::read(file.ok()?.path()).ok()?;
            let case: serde_json::Value = serde_json::from_slice(&case).ok()?;
            if case["status"] == 200 && case["streaming"] == false {
                bodies.push(case["response_body"].as_str()?.to_owned());
            }
        }
    }
    bodies.sort_by_key(String::len);
    let middle = bodies.len() / 2;
    bodies.get(middle).map(|body| body.clone().into_bytes())
}

fn extract(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("extract");
    timed::time(&mut group, cases::cases());
    if let Some(body) = recorded() {
        let case = cases::of_body(format!("recorded, {} bytes", body.len()), body);
        timed::time(&mut group, vec![case]);
    }
    group.finish();
}

criterion_group!(benches, extract);
criterion_main!(benches);
