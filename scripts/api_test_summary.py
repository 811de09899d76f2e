"""Counts what Schemathesis sent: by operation, and how much of it was accepted.

Usage: api_test_summary.py DOCUMENT EVENTS CASES

Fails if an operation that has parameters or a body had fewer cases than were asked for, except for those whose values
are few; if an operation was never asked, or a request has no answer; or if anything failed. Operations with nothing to
vary, such as /v1/limits, cannot have thousands of different cases.
"""

import collections
import json
import sys

METHODS = ("get", "put", "post", "delete", "patch")
# Where there are not thousands of different requests: one of a few dozen codes; a name, which is mostly drawn from the
# budgets that were set before.
FEW = {"GET /errors/{code}", "DELETE /v1/admin/budgets/{name}"}


def main(document, events, wanted):
    with open(document, encoding="utf-8") as file:
        paths = json.load(file)["paths"]
    varied = {}
    for path, methods in paths.items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                varied[f"{method.upper()} {path}"] = bool(operation.get("parameters") or "requestBody" in operation)
    cases, accepted, refused = collections.Counter(), collections.Counter(), collections.Counter()
    seconds, faults, finished = 0.0, [], False
    with open(events, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            kind = next(iter(event))
            if kind == "EngineFinished":
                finished = True
                seconds = event[kind]["running_time"]
            if kind in ("NonFatalError", "FatalError", "InternalError"):
                faults.append(f"{kind}: {json.dumps(event[kind])[:300]}")
            if kind != "ScenarioFinished":
                continue
            label = event[kind]["recorder"]["label"]
            if event[kind]["status"] not in ("success", "skip"):
                faults.append(f"{label}: {event[kind]['status']} in the phase {event[kind]['phase']}")
            for interaction in event[kind]["recorder"].get("interactions", {}).values():
                cases[label] += 1
                status = (interaction.get("response") or {}).get("status_code")
                if status is None:
                    faults.append(f"{label}: a request without an answer")
                elif status < 300:
                    accepted[label] += 1
                else:
                    refused[status] += 1
    for label in sorted(varied):
        print(f"   {label:<36} {cases[label]:>6} cases, {accepted[label]:>6} accepted")
        if not cases[label]:
            faults.append(f"{label}: never asked")
        elif varied[label] and label not in FEW and cases[label] < wanted:
            faults.append(f"{label}: {cases[label]} cases instead of {wanted}")
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(refused.items()))
    print(f"   {sum(cases.values())} cases in {seconds:.0f} seconds; refused: {statuses}")
    if not finished:
        faults.append("it did not come to its end")
    for fault in faults[:20]:
        print(f"   {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
