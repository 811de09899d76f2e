#!/usr/bin/env python3
"""Breaks the poller, once for each rule, and asks whether the check of that rule notices.

usage: broken.py PORT DIR [RULE…]     Started by conformance.sh --prove. DIR is the emulator's.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
PORT, DIR, RULES = sys.argv[1], sys.argv[2], sys.argv[3:]

# A rule, what of the poller it rests on, and what stands there instead; in pairs, where two places hold it.
BREAKS = [
    ("batches_hold_at_most", "len(batch) == size or ", ""),
    ("batches_hold_at_most", "for batch in self.batches(group, size):", "for batch in self.batches(group[::-1], size):"),
    ("a_reported_failure_is_where", "elif failed_at > 0:", "elif False:"),
    ("a_reported_failure_is_where", "return min(places", "return max(places"),
    ("a_report_is_only_heard", "elif partial:", "elif True:"),
    ("empty_answers_are_success", "    if answer is None:\n        return None\n", ""),
    ("empty_answers_are_success", "    if not failures:\n        return None", "    if not failures:\n        return 0"),
    ("what_names_no_record", "places.get(name, 0) if isinstance(name, str) else 0 for", "places.get(name, 1) for"),
    ("retries_end", "tries > most_retries", "tries > most_retries + 1"),
    ("retries_end", "tries > most_retries", "False"),
    ("retries_end", '"startSequenceNumber": seq(batch[0])', '"startSequenceNumber": seq(batch[-1])'),
    ("without_a_limit", "most_retries >= 0 and tries", "tries"),
    ("bisecting_finds", "half = len(piece) // 2", "half = 1"),
    ("bisecting_finds", "pieces.append((piece[:half], tries, 0))", "pieces.append((piece[:half], tries + 1, 0))"),
    ("a_report_splits_at_its_record", 'bisect and result.get("error") and', "bisect and"),
    ("a_reported_record_runs_out", "pieces.append((piece[failed_at:], 1, 1))", "pieces.append((piece[failed_at:], 0, 1))"),
    ("a_record_that_is_too_old", "if most_age > 0:", "if False:"),
    ("a_record_that_is_too_old", "if most_age > 0:", "if most_age > 0 and tries:"),
    ("batches_run_side_by_side", "% factor].append(record)", "% 1].append(record)"),
    ("batches_run_side_by_side", "zlib.crc32(self.source.key(record).encode())", "zlib.crc32(self.source.seq(record).encode())"),
    ("records_that_no_filter", "L._apply_filter_criteria(records, self.esm)", "records"),
    ("changes_that_no_filter", "L._apply_filter_criteria(records, self.esm)", "records"),
    ("a_failure_among_filtered", "L._apply_filter_criteria(records, self.esm)", "records"),
    ("the_window_gathers", "if window and", "if False and"),
    ("the_window_gathers", "len(records) < size * factor and not self.done", "not self.done"),
    ("a_disabled_mapping_pauses", "not func or not enabled or not", "not func or not",
     'if live is None or not live.get("Enabled", True):', "if live is None:"),
    ("a_mapping_that_is_disabled", "            self.check_enabled()\n", ""),
    ("a_mapping_that_is_disabled", "not in self.done]", "]"),
    ("a_crash_and_a_timeout", '            if result.get("error"):\n                failed_at = 0', '            if False:\n                failed_at = 0'),
    ("a_throttle_is_no_attempt", "pieces.append((piece, tries, waits + 1))", "pieces.append((piece, tries + 1, waits + 1))"),
    # For a table it is ministack's own, which sets it when the mapping is made.
    ("the_starting_position_is_kept-k", '== "TRIM_HORIZON"', '!= "nothing"'),
    ("a_batch_fits", "used + bytes_ > MAX_PAYLOAD", "False"),
]


def run(program, *arguments, **environment):
    return subprocess.run([program, *arguments], env=os.environ | environment, capture_output=True, text=True)


def notices(poller, rule):
    """Whether the check of a rule fails, for each source it has, and as a check does."""
    broken = f"{DIR}/broken-poller.py"
    with open(broken, "w") as file:
        file.write(poller)
    started = run(f"{HERE}/start.sh", DIR, PORT, POLLER=broken)
    if started.returncode != 0:
        return False, started.stderr
    try:
        checked = run(sys.executable, f"{HERE}/conformance.py", PORT, f"{DIR}/notes", rule)
    finally:
        run(f"{HERE}/stop.sh", DIR)
    lines = [line for line in checked.stdout.splitlines() if " s  " in line]
    return bool(lines) and all(line.startswith("FAILED") for line in lines), checked.stdout + checked.stderr


def main():
    with open(f"{HERE}/poller.py") as file:
        poller = file.read()
    missed = 0
    chosen = [b for b in BREAKS if not RULES or any(b[0].startswith(rule) for rule in RULES)]
    for rule, *pairs in chosen:
        broken = poller
        for part, instead in zip(pairs[::2], pairs[1::2]):
            assert part in poller, f"the poller has no {part!r} any more"
            broken = broken.replace(part, instead)
        noticed, said = notices(broken, rule)
        missed += not noticed
        shown = " ".join(pairs[0].split())[:60]
        print(f"{'noticed' if noticed else 'MISSED':8} {rule}: without `{shown}`", flush=True)
        if not noticed:
            print(said, flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} breaks noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
