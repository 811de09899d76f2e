//! A price that comes later: looked at, applied, continued, explained.

use serde_json::{Value, json};

use super::support::{Up, run, said};

const RANGE: [&str; 4] = ["--from", "2026-01-01", "--to", "2100-01-01"];

#[test]
fn what_had_no_price_is_priced_later_over_a_server_and_by_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let up = Up::start(&data, &[]);
    let call = json!({"id": "c1", "usage": {"input": 1_000_000}, "model": "new", "provider": "p",
        "reported_cost_usd": "2.5"});
    up.post("x-agent-id: a\r\n", &call);
    up.wait(&["report", "--by", "agent"], |report| report["total"]["unpriced_events"] == 1);
    let unknown = up.json(&["explain", "a", "c1"]);
    assert_eq!((&unknown["cost_usd"], &unknown["unpriced"]["reason"]), (&Value::Null, &json!("no_entry")));
    assert_eq!(up.terminate(), Some(0));

    // The operator sets a price, and looks first.
    let config = dir.path().join("agentledger.toml");
    std::fs::write(&config, "[prices]\nfallback_usd_per_token = \"0.000002\"\n").unwrap();
    let up = Up::start(&data, &["--config", config.to_str().unwrap()]);
    let look = up.json(&[&["reprice", "--unpriced"], &RANGE[..]].concat());
    assert_eq!((&look["applied"], &look["run"]), (&json!(false), &Value::Null));
    assert_eq!(look["total"]["newly_priced"], 1, "{look}");
    assert_eq!(look["rows"][0]["cost_after_usd"], "2");
    assert_eq!(up.json(&["report", "--by", "agent"])["total"]["unpriced_events"], 1);

    let done = up.json(&[&["reprice", "--unpriced", "--apply", "--run", "august"], &RANGE[..]].concat());
    assert_eq!((&done["run"]["done"], &done["run"]["total"]["changed"]), (&json!(true), &json!(1)), "{done}");
    assert_eq!(up.json(&["report", "--by", "agent"])["total"]["cost_usd"], "2");
    let resumed = up.json(&["reprice", "--apply", "--resume", "august"]);
    assert_eq!((&resumed["run"], &resumed["total"]["events"]), (&done["run"], &json!(0)));
    assert_eq!(up.json(&["repricings"])["repricings"][0]["id"], "august");
    let explained = up.json(&["explain", "a", "c1"]);
    assert_eq!((&explained["cost_usd"], &explained["difference_usd"]), (&json!("2"), &json!("-0.5")));
    assert_eq!(explained["repriced_by"]["run"], "august");
    let text = String::from_utf8(up.run(&["explain", "a", "c1"]).stdout).unwrap();
    for words in
        ["0.000002", "before: unknown by no price (at first)", "the provider stated 2.5", "repricing august"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let compared = up.json(&["differences"]);
    assert_eq!(compared["rows"][0]["difference_usd"], "-0.5");
    // A question that a run is not about, a run that was never begun, a book that is not there.
    for (args, code, words) in [
        (&["--apply", "--run", "august"][..], 2, "is about other calls"),
        (&["--book", "nowhere"], 2, "there is no price book"),
        (&["--book", config.to_str().unwrap()], 2, "is a file"),
    ] {
        let refused = up.run(&[&["reprice"], &RANGE[..], args].concat());
        assert_eq!(refused.status.code(), Some(code), "{}", said(&refused));
        assert!(said(&refused).contains(words), "{}", said(&refused));
    }
    let refused = up.run(&["reprice", "--apply", "--resume", "never"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert_eq!(up.terminate(), Some(0));

    // Without a server, by a book of one's own.
    let book = dir.path().join("book.json");
    let own = json!({"version": "own", "source": "a contract", "models": [
        {"provider": "p", "model": "new", "prices": [{"per_million": {"input": "1"}}]}]});
    std::fs::write(&book, own.to_string()).unwrap();
    let own = [
        &["reprice", "--apply", "--format", "json", "--data", data.to_str().unwrap()][..],
        &["--book", book.to_str().unwrap()],
        &RANGE[..],
    ];
    let applied = run(&own.concat());
    assert!(applied.status.success(), "{}", said(&applied));
    let applied: Value = serde_json::from_slice(&applied.stdout).unwrap();
    assert_eq!((&applied["book"], &applied["total"]["difference_usd"]), (&json!("own"), &json!("-1")));
}
