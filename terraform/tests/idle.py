#!/usr/bin/env python3
"""Proves that a plan holds nothing that costs when idle.

usage: terraform show -json PLAN | idle.py

Reads a plan and fails, with a line for each, if it would leave a resource that is charged by the hour or the month
whatever happens, or one whose type is not known here: a new type has to be looked up before it is allowed. What is
charged by use, and for what is stored, passes: an idle deployment uses nothing, and has stored nothing.
"""

import json
import sys

# Charged only by use, or by what is stored.
FREE_WHEN_IDLE = {
    "aws_apigatewayv2_api": "by request",
    "aws_apigatewayv2_integration": "part of the API",
    "aws_apigatewayv2_route": "part of the API",
    "aws_apigatewayv2_stage": "part of the API",
    "aws_cloudwatch_log_group": "by what is written and kept",
    "aws_dynamodb_table": "by request, if it is on demand; by what is stored",
    "aws_iam_role": "free",
    "aws_iam_role_policy": "free",
    "aws_lambda_event_source_mapping": "free for streams of DynamoDB; the function by invocation",
    "aws_lambda_function": "by invocation",
    "aws_lambda_invocation": "one invocation, when it is applied",
    "aws_lambda_permission": "free",
    "aws_sns_topic": "by message",
    "aws_sns_topic_subscription": "by message",
    "aws_sqs_queue": "by request; a queue that only failures are sent to is not polled",
}

# Charged while they exist, and named here for the reason that is shown.
CHARGED_WHEN_IDLE = {
    "aws_cloudwatch_composite_alarm": "an alarm is charged by the month",
    "aws_cloudwatch_dashboard": "a dashboard is charged by the month past the third of the account",
    "aws_cloudwatch_metric_alarm": "an alarm is charged by the month past the tenth of the account",
    "aws_kinesis_firehose_delivery_stream": "reads a Kinesis stream, which is charged by the hour",
    "aws_kinesis_stream": "a stream is charged by the hour, and so is each of its shards",
    "aws_kinesis_stream_consumer": "a consumer is charged by the hour and shard",
    "aws_kms_key": "a key of one's own is charged by the month",
    "aws_kms_replica_key": "a key of one's own is charged by the month",
    "aws_lambda_provisioned_concurrency_config": "is charged by the second",
    "aws_nat_gateway": "is charged by the hour",
    "aws_scheduler_schedule": "invokes, whether something happens or not",
    "aws_cloudwatch_event_rule": "invokes, whether something happens or not",
    "aws_secretsmanager_secret": "a secret is charged by the month",
    "aws_vpc_endpoint": "is charged by the hour",
    "aws_wafv2_web_acl": "is charged by the month",
}


def settings(kind, values, unknown):
    """What about a resource of a free type would be charged when idle."""
    if kind == "aws_dynamodb_table":
        if values.get("billing_mode") != "PAY_PER_REQUEST":
            yield "its capacity is provisioned, which is charged by the hour"
        if values.get("replica"):
            yield "it has replicas"
        if any(block.get("enabled") is not False for block in values.get("server_side_encryption") or []):
            yield "its key is, or may be, one of one's own, which is charged by the month"
    if kind == "aws_lambda_event_source_mapping":
        if values.get("provisioned_poller_config"):
            yield "its pollers are provisioned, which is charged by the hour"
        source = values.get("event_source_arn") or ""
        if ":kinesis:" in source:
            yield "it reads a Kinesis stream, which is charged by the hour"
        if ":sqs:" in source:
            yield "it polls a queue, which is charged by request, also when the queue is empty"
    if kind == "aws_lambda_function":
        if values.get("snap_start"):
            yield "its snapshots are charged while they are cached"
        if values.get("vpc_config"):
            yield "in a network it needs endpoints or a gateway, which are charged by the hour"
    for key in ("kms_key_arn", "kms_key_id", "kms_master_key_id"):
        if values.get(key) and not values[key].startswith("alias/aws/"):
            yield f"{key} is a key of one's own, which is charged by the month"
        if unknown.get(key) is True:
            yield f"{key} is not known before it is applied: it may be a key of one's own"


def findings(plan):
    """What a plan would leave that is charged when idle, or is not known; and how many resources were looked at."""
    found, looked_at = [], 0
    for change in plan["resource_changes"]:
        if change["mode"] != "managed" or change["change"]["actions"] == ["delete"]:
            continue
        looked_at += 1
        kind, address = change["type"], change["address"]
        if kind in CHARGED_WHEN_IDLE:
            found.append(f"{address}: {CHARGED_WHEN_IDLE[kind]}")
        elif kind not in FREE_WHEN_IDLE:
            found.append(f"{address}: {kind} is not known to this check: look up what it costs, and add it")
        else:
            unknown = change["change"].get("after_unknown") or {}
            for reason in settings(kind, change["change"]["after"] or {}, unknown):
                found.append(f"{address}: {reason}")
    return found, looked_at


def main():
    """Prints what was found; 1 if anything was, or if there was nothing to look at."""
    found, looked_at = findings(json.load(sys.stdin))
    for line in found:
        print(line)
    if not looked_at:
        print("the plan holds no resources: nothing was proven", file=sys.stderr)
    print(f"{looked_at} resources, {len(found)} of them charged when idle or unknown", file=sys.stderr)
    return 1 if found or not looked_at else 0


if __name__ == "__main__":
    sys.exit(main())
