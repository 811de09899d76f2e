//! The commands of the pages, run as they stand there.
//!
//! Every `sh` block of the pages below is run, in order, by one bash with `set -euo pipefail` in a directory of its
//! own: each of the four readers' pages, replay.md and the README as a whole, operations.md section by section. It is
//! run as a reader would, but for this:
//!
//! - `127.0.0.1:8080` is a free port of the test; `cargo run --release --` and `target/release/agentledger` are the
//!   command that was built.
//! - A server runs before the first block. `agentledger up` stops it and starts another over the same data, in the
//!   background, and the next command waits until it is ready. Each has to exit with 0 when it is stopped.
//! - Before `agentledger` and `curl` ask, they wait until what was accepted is counted: a reader types slower.
//! - A `toml` block is the new content of `agentledger.toml`, which is empty at first.
//!
//! The rule of what has to come out:
//!
//! - Every command exits with 0; `curl` also fails for an answer other than 2xx.
//! - Every command prints something on stdout, unless it is redirected or one of `mkdir`, `cp`, `export`.
//! - Where the next block of the section is one of output, the shape has to be the same. Of JSON: some
//!   line printed is an object that has every member shown, to any depth, in arrays by their first elements. Of a
//!   table: some line printed has the columns shown, in this order (others may stand between them). Of other text: each
//!   line's first two words are in one line printed.
//!
//! A block `sh no-run (REASON)` is not run. Their number is stated below, so that it cannot grow unseen.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::blocks::{Block, blocks, read};

const PRELUDE: &str = r#"
set -euo pipefail
server=
settled() {
    local lag
    for _ in $(seq 600); do
        lag=$(command curl -s "http://$ADDRESS/metrics" |
            awk '/^agentledger_(stream_lag_records|alert_lag_changes)/ { n += $2 } END { print n + 0 }') || return 0
        if [ "$lag" = 0 ]; then return 0; fi
        sleep 0.05
    done
    echo "what was accepted is not counted within 30 s" >&2
    return 1
}
stop() {
    if [ -z "$server" ]; then return 0; fi
    kill -TERM "$server"
    local stopped=$server
    server=
    wait "$stopped"
}
trap 'code=$?; stop || code=1; exit $code' EXIT
agentledger() {
    case "$*" in
        up | up\ *)
            stop
            : > up.out
            command agentledger "$@" --listen "$ADDRESS" > up.out 2>> up.log &
            server=$!
            for _ in $(seq 600); do
                if [ -s up.out ]; then break; fi
                sleep 0.05
            done
            cat up.out ;;
        *--data* | *--url* | *--help* | token\ keygen* | token\ mint*) command agentledger "$@" ;;
        *) settled && command agentledger "$@" --url "http://$ADDRESS" ;;
    esac
}
curl() { settled && command curl --silent --show-error --fail-with-body "$@"; }
: > agentledger.toml
"#;

/// A server with two calls in it.
const SERVER: &str = r#"
agentledger up > ready
curl -XPOST "http://$ADDRESS/v1/usage" -H 'x-agent-id: researcher-7' -H 'x-team-id: growth' \
    -d '{"usage":{"total_tokens":1500}}' > receipt
curl -XPOST "http://$ADDRESS/v1/usage" -H 'x-agent-id: researcher-7' -H 'x-team-id: growth' -H 'x-task-id: T-1182' \
    -d '{"provider":"openai","model":"gpt-4o-mini","usage":{"input":812,"output":220}}' > receipt
"#;

/// Runs blocks that belong together, and checks what comes out.
fn run(page: &str, blocks: &[&Block], prelude: &str) {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut script = prelude.to_owned();
    for (n, block) in blocks.iter().enumerate() {
        match block.language() {
            "sh" if block.not_run().is_none() => {
                for (m, command) in block.commands().iter().enumerate() {
                    let command = command
                        .replace("127.0.0.1:8080", &address)
                        .replace("cargo run --release --", "agentledger")
                        .replace("target/release/agentledger", "agentledger");
                    write!(script, "printf '\\n@@ {n} {m}\\n'\n{command}").unwrap();
                }
            }
            "toml" => {
                write!(script, "cat > agentledger.toml <<'TOML'\n{}TOML\n", block.text).unwrap();
            }
            _ => {}
        }
    }
    let bin = Path::new(env!("CARGO_BIN_EXE_agentledger")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("ADDRESS", &address)
        .env("CURL_HOME", dir.path())
        .env_remove("AGENTLEDGER_TOKEN")
        .output()
        .unwrap();
    let (said, faults) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let log = std::fs::read_to_string(dir.path().join("up.log")).unwrap_or_default();
    assert!(output.status.success(), "{page}: {}\n{said}\n{faults}\nthe server's log:\n{log}", output.status);

    let of = |n: usize, m: usize| {
        let mark = format!("\n@@ {n} {m}\n");
        let printed = said.split_once(&mark).unwrap_or_else(|| panic!("{page}: no {mark:?} in {said}")).1;
        printed.split("\n@@ ").next().unwrap_or_default()
    };
    for (n, block) in blocks.iter().enumerate() {
        if block.language() != "sh" || block.not_run().is_some() {
            continue;
        }
        let mut printed = String::new();
        for (m, command) in block.commands().iter().enumerate() {
            let quiet = command.contains(" > ")
                || ["mkdir ", "cp ", "export "].iter().any(|c| command.starts_with(c));
            assert!(
                quiet || !of(n, m).trim().is_empty(),
                "{page}, line {}: prints nothing: {command}",
                block.line
            );
            printed.push_str(of(n, m));
            printed.push('\n');
        }
        if let Some(shown) = blocks
            .get(n + 1)
            .filter(|next| next.section == block.section && matches!(next.info.as_str(), "" | "json"))
        {
            let fault = misshapen(&shown.text, &printed);
            assert!(fault.is_none(), "{page}, line {}: {}\nprinted:\n{printed}", shown.line, fault.unwrap());
        }
    }
}

/// What is shown and was not printed.
fn misshapen(shown: &str, printed: &str) -> Option<String> {
    if shown.starts_with('{') {
        let wanted: Value = serde_json::from_str(shown).unwrap_or_else(|e| panic!("{e}: {shown}"));
        let objects = printed.lines().filter_map(|line| {
            serde_json::Deserializer::from_str(&line[line.find('{')?..]).into_iter::<Value>().next()?.ok()
        });
        let mut last = Some("no JSON object is printed".to_owned());
        for object in objects {
            last = lacks(&wanted, &object, "");
            last.as_ref()?;
        }
        return last;
    }
    let cells =
        |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).filter(|c| !c.is_empty()).collect();
    if shown.starts_with('|') {
        let wanted: Vec<String> = cells(shown.lines().next()?);
        let found = printed.lines().any(|line| {
            let mut there = Vec::into_iter(cells(line));
            wanted.iter().all(|column| there.any(|cell| cell == *column))
        });
        return (!found).then(|| format!("no line has the columns {wanted:?}"));
    }
    shown.lines().find_map(|line| {
        let mut words = line.split_whitespace().take(2);
        let found = printed.lines().any(|printed| words.clone().all(|word| printed.contains(word)));
        (!found && words.next().is_some()).then(|| format!("no line has the first words of {line:?}"))
    })
}

/// The first member of `wanted` that `found` does not have.
fn lacks(wanted: &Value, found: &Value, path: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            found
                .get(name)
                .map_or_else(|| Some(format!("{path} is not printed")), |there| lacks(value, there, &path))
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            lacks(wanted.first()?, found.first()?, &format!("{path}[]"))
        }
        _ => None,
    }
}

/// Runs a whole page, and answers how many of its blocks are run, and how many are not.
fn page(page: &str, prelude: &str) -> (usize, usize) {
    let text = read(page);
    let blocks = blocks(&text);
    run(page, &blocks.iter().collect::<Vec<_>>(), &[PRELUDE, prelude].concat());
    counted(&blocks)
}

fn counted(blocks: &[Block]) -> (usize, usize) {
    let all = blocks.iter().filter(|block| block.language() == "sh").count();
    let not_run = blocks.iter().filter(|block| block.not_run().is_some()).count();
    eprintln!("{} blocks run, {not_run} not run", all - not_run);
    (all - not_run, not_run)
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_for_agents() {
    assert_eq!(page("docs/for-agents.md", SERVER).1, 0);
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_for_finance() {
    assert_eq!(page("docs/for-finance.md", SERVER).1, 0);
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_for_engineers() {
    assert_eq!(page("docs/for-engineers.md", SERVER).1, 0);
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_for_sres() {
    assert_eq!(page("docs/for-sres.md", "").1, 1);
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_of_the_readme() {
    assert_eq!(page("README.md", "agentledger up > ready\n").1, 3);
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_of_replay() {
    assert_eq!(page("docs/replay.md", SERVER).1, 1);
}

#[test]
#[ignore = "needs bash and curl: scripts/second-tier.sh runs it"]
fn the_commands_of_the_runbook() {
    let text = read("docs/operations.md");
    let all = blocks(&text);
    for section in all.chunk_by(|a, b| a.section == b.section) {
        let name = format!("docs/operations.md, {}", section[0].section);
        run(&name, &section.iter().collect::<Vec<_>>(), &[PRELUDE, SERVER].concat());
    }
    assert_eq!(counted(&all).1, 8);
}
