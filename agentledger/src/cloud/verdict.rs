//! What is well of a deployment, and what is not.

use aws::deployed::Mapping;
use aws::failure::Failure;
use aws::table::Described;
use jiff::SignedDuration;
use operate::doctor::Finding;

const TABLE: &str = "table";
/// A journal of so many entries is on its way into the totals; of more, nobody brings it there.
const FEW: u64 = 1_000;

/// What may be denied to who looks is no failure of what is looked at.
pub(super) fn denied(check: &str, failure: &Failure) -> Vec<Finding> {
    vec![Finding::warn(
        check,
        format!("nobody can say: {failure}"),
        "allow this to the role that operates the deployment, or look in the console",
    )]
}

/// The table itself.
pub(super) fn table(name: &str, described: &Described) -> Vec<Finding> {
    let Described { status, is_protected, .. } = described;
    let mut found = vec![match status.as_str() {
        "ACTIVE" => Finding::ok(TABLE, format!("{name} is active")),
        "UPDATING" => Finding::ok(TABLE, format!("{name} is being changed, and can be used")),
        other => Finding::fail(TABLE, format!("{name} is {other}"), "see the table in the console"),
    }];
    if !is_protected {
        let todo = "deletion_protection = true, unless it is only for a trial";
        found.push(Finding::warn(TABLE, format!("{name} can be deleted by a slip"), todo));
    }
    found
}

/// Whether items expire.
pub(super) fn expiry(is_on: bool) -> Vec<Finding> {
    if is_on {
        return vec![Finding::ok(TABLE, "what has an end is removed at it")];
    }
    let todo = "turn time to live on, with the attribute ttl: the inbox and the journals grow for ever";
    vec![Finding::warn(TABLE, "nothing expires", todo)]
}

/// Whether it can be restored.
pub(super) fn recovery(is_on: bool) -> Vec<Finding> {
    if is_on {
        return vec![Finding::ok(TABLE, "it can be restored to any second of the last 35 days")];
    }
    let todo = "point_in_time_recovery = true, unless it is only for a trial";
    vec![Finding::warn(TABLE, "there is no recovery to a point in time", todo)]
}

/// Entries that are not in the totals yet, of the lane that has most.
pub(super) fn backlog(open: u64) -> Vec<Finding> {
    const CHECK: &str = "journals";
    vec![match open {
        0 => Finding::ok(CHECK, "all that is committed is in the stored totals"),
        n if n <= FEW => {
            Finding::ok(CHECK, format!("{n} commits of a lane are on their way into the stored totals"))
        }
        n => {
            let todo = "reports are right, alerts may be late: see the logs of the aggregator; a sweep brings them in, \
                        and so does any `agentledger replay --apply --aws`";
            Finding::warn(CHECK, format!("{n} commits of a lane are not in the stored totals"), todo)
        }
    }]
}

/// The mappings of a function.
pub(super) fn mappings(function: &str, mappings: &[Mapping]) -> Vec<Finding> {
    const CHECK: &str = "mappings";
    if mappings.is_empty() {
        let todo = "nothing is read: apply Terraform again, or set AGENTLEDGER_AGGREGATOR and AGENTLEDGER_ALERTER to \
                    the names of the functions";
        return vec![Finding::fail(CHECK, format!("{function} has no event source mapping"), todo)];
    }
    let judge = |mapping: &Mapping| {
        let Mapping { id, state, last_result, reason, .. } = mapping;
        let because = reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let last = last_result.as_deref().unwrap_or("nothing was read yet");
        let found = format!("{function}: {state}{because}; last result: {last}");
        if !mapping.is_on() {
            let todo = format!("events wait: aws lambda update-event-source-mapping --uuid {id} --enabled");
            return Finding::fail(CHECK, found, todo);
        }
        // What AWS says where all is well; whatever else it says is a trouble in words.
        let is_well = matches!(last, "nothing was read yet" | "OK" | "No records processed");
        if is_well {
            return Finding::ok(CHECK, found);
        }
        Finding::fail(CHECK, found, "see the function's log; nothing is lost while the stream is kept")
    };
    mappings.iter().map(judge).collect()
}

/// How old what a function reads is, as far as CloudWatch knows.
pub(super) fn age(function: &str, age: Option<SignedDuration>) -> Vec<Finding> {
    const CHECK: &str = "lag";
    let Some(age) = age else {
        // Whoever is not invoked has no age: that is what an empty stream looks like, and a mapping that stands.
        return vec![Finding::ok(
            CHECK,
            format!("{function} read nothing in the last quarter of an hour, as far as CloudWatch knows"),
        )];
    };
    let found = format!("{function}: what it read last was {} seconds old", age.as_secs());
    vec![match age.as_secs() {
        age if age > 3600 => {
            let todo = "see its log, and its throttles; nothing is lost while the stream is kept";
            Finding::fail(CHECK, found, todo)
        }
        age if age > 120 => Finding::warn(CHECK, found, "look again in a minute: it should shrink"),
        _ => Finding::ok(CHECK, found),
    }]
}

/// A queue of failures.
pub(super) fn queue(name: &str, depth: u64) -> Vec<Finding> {
    const CHECK: &str = "dead letters";
    if depth == 0 {
        return vec![Finding::ok(CHECK, format!("{name} is empty"))];
    }
    let todo = "`agentledger redrive list --aws` says what they are about, `redrive retry` reads that again: before the \
                stream no longer has it";
    vec![Finding::fail(CHECK, format!("{name} has about {depth}"), todo)]
}

#[cfg(test)]
mod tests {
    use operate::doctor::Verdict;

    use super::*;

    fn verdicts(found: &[Finding]) -> Vec<Verdict> {
        assert!(found.iter().all(|f| f.todo.is_some() == (f.verdict != Verdict::Ok)), "{found:?}");
        found.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_mapping_is_judged_by_its_state_and_its_last_result() {
        use Verdict::{Fail, Ok};
        let mapping = |state: &str, last: Option<&str>| Mapping {
            id: "u".to_owned(),
            source: "s".to_owned(),
            state: state.to_owned(),
            last_result: last.map(str::to_owned),
            reason: None,
        };
        let all = [
            mapping("Enabled", Some("OK")),
            mapping("Enabled", None),
            mapping("Enabled", Some("No records processed")),
            mapping("Enabled", Some("PROBLEM: Function call failed")),
            mapping("Disabled", Some("OK")),
        ];
        assert_eq!(verdicts(&mappings("f", &all)), [Ok, Ok, Ok, Fail, Fail]);
        assert!(mappings("f", &all)[4].todo.as_ref().unwrap().contains("--uuid u --enabled"));
        assert_eq!(verdicts(&mappings("f", &[])), [Fail]);
    }

    #[test]
    fn ages_depths_and_settings_have_bounds() {
        use Verdict::{Fail, Ok, Warn};
        let of = |seconds| verdicts(&age("f", Some(SignedDuration::from_secs(seconds))))[0];
        assert_eq!([of(3), of(200), of(7200)], [Ok, Warn, Fail]);
        assert_eq!(verdicts(&age("f", None)), [Ok]);
        assert_eq!([backlog(0), backlog(9), backlog(9000)].map(|f| verdicts(&f)[0]), [Ok, Ok, Warn]);
        assert_eq!([queue("q", 0), queue("q", 2)].map(|f| verdicts(&f)[0]), [Ok, Fail]);
        let described =
            |status: &str, is_protected| Described { status: status.to_owned(), is_protected, ahead: None };
        assert_eq!(verdicts(&table("t", &described("ACTIVE", true))), [Ok]);
        assert_eq!(verdicts(&table("t", &described("ARCHIVED", false))), [Fail, Warn]);
        assert_eq!([expiry(true), expiry(false), recovery(false)].map(|f| verdicts(&f)[0]), [Ok, Warn, Warn]);
    }
}
