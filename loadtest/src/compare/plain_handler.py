#!/usr/bin/env python3
"""A handler as users write it: an item and a metric for each event. Below it, what Lambda's own runtime for Python does
around a handler, as far as it matters here."""
import json
import os
import urllib.request
from decimal import Decimal

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
cloudwatch = boto3.client("cloudwatch")
PRICES = {"gpt-4o-mini": (Decimal("0.00000015"), Decimal("0.0000006"))}


def handler(event, context):
    body = json.loads(event["body"])
    key = event["headers"]["idempotency-key"]
    events = body["events"] if "events" in body else [body]
    for n, one in enumerate(events):
        usage = one["usage"]
        of_input, of_output = PRICES[one["model"]]
        cost = usage["input"] * of_input + usage["output"] * of_output
        table.put_item(Item={
            "pk": one["agent_id"], "sk": f"{key}#{n}", "model": one["model"], "task": one["task_id"],
            "input": usage["input"], "output": usage["output"], "cost": cost,
        })
        cloudwatch.put_metric_data(Namespace="Plain", MetricData=[{
            "MetricName": "TokenCost", "Value": float(cost), "Dimensions": [{"Name": "AgentId", "Value": one["agent_id"]}],
        }])
    return {"statusCode": 200, "body": json.dumps({"accepted": len(events)})}


def main():
    api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    while True:
        with urllib.request.urlopen(f"{api}/next") as answer:
            request, event = answer.headers["Lambda-Runtime-Aws-Request-Id"], json.load(answer)
        try:
            kind, result = "response", handler(event, None)
        except Exception as error:
            kind, result = "error", {"errorMessage": repr(error)}
        post = urllib.request.Request(f"{api}/{request}/{kind}", json.dumps(result).encode(), method="POST")
        urllib.request.urlopen(post).close()


main()
