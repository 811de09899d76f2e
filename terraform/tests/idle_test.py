#!/usr/bin/env python3
"""Changes a plan that passes idle.py in one way at a time, and expects each to be found.

usage: idle_test.py PLAN.json
"""

import copy
import json
import sys

import idle

# A change to the first resource of a type, and a word of the finding.
CHANGES = [
    ("aws_dynamodb_table", {"billing_mode": "PROVISIONED"}, "provisioned"),
    ("aws_dynamodb_table", {"replica": [{"region_name": "eu-west-1"}]}, "replicas"),
    ("aws_dynamodb_table", {"server_side_encryption": [{"enabled": True}]}, "key"),
    ("aws_sqs_queue", {"kms_master_key_id": "arn:aws:kms:eu-west-1:123456789012:key/k"}, "key"),
    ("aws_lambda_event_source_mapping", {"provisioned_poller_config": [{"minimum_pollers": 1}]}, "pollers"),
    ("aws_lambda_event_source_mapping", {"event_source_arn": "arn:aws:kinesis:eu-west-1:123456789012:stream/s"}, "Kinesis"),
    ("aws_lambda_event_source_mapping", {"event_source_arn": "arn:aws:sqs:eu-west-1:123456789012:q"}, "polls"),
    ("aws_lambda_function", {"vpc_config": [{"subnet_ids": ["s"]}]}, "network"),
]


def main():
    """Tries each."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    assert idle.findings(plan)[0] == [], "the plan passes as it is"
    for kind, values, word in CHANGES:
        changed = copy.deepcopy(plan)
        resource = next(r for r in changed["resource_changes"] if r["type"] == kind)
        resource["change"]["after"].update(values)
        found = idle.findings(changed)[0]
        assert len(found) == 1 and word in found[0], (kind, values, found)
    for kind in [*idle.CHARGED_WHEN_IDLE, "aws_thing_of_tomorrow"]:
        changed = copy.deepcopy(plan)
        changed["resource_changes"][0]["type"] = kind
        assert len(idle.findings(changed)[0]) >= 1, kind
    print(f"{len(CHANGES) + len(idle.CHARGED_WHEN_IDLE) + 1} changes of the plan are found")


if __name__ == "__main__":
    main()
