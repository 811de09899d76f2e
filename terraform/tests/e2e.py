#!/usr/bin/env python3
"""Sends events to a deployment and looks for what becomes of them. usage: e2e.py ENDPOINT OUTPUTS.json README.md"""
import datetime
import json
import re
import sys
import time
import urllib.request
from decimal import Decimal

import boto3

ENDPOINT, OUTPUTS, README = sys.argv[1:]
outputs = {name: output["value"] for name, output in json.load(open(OUTPUTS)).items()}
PATIENCE = 90


def client(service):
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


dynamodb, sqs, sns, cloudwatch = (client(name) for name in ("dynamodb", "sqs", "sns", "cloudwatch"))
TABLE = outputs["table_name"]


def wait_for(what, look):
    began = time.time()
    while time.time() - began < PATIENCE:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"{what}: not there after {PATIENCE} s")


def post(agent, body, key=None):
    # The emulator routes by the host's first label.
    url = f"{ENDPOINT}/v1/usage"
    host = re.sub(r"^https?://", "", outputs["ingest_url"])
    api = host.split(".")[0]
    request = urllib.request.Request(url, body.encode(), {
        "Host": f"{api}.execute-api.127.0.0.1", "x-agent-id": agent, "content-type": "application/json",
    })
    if key:
        request.add_header("idempotency-key", key)
    with urllib.request.urlopen(request, timeout=30) as answer:
        receipt = json.load(answer)
    assert receipt["metered"], receipt
    return receipt["event_ids"]


def rollup(kind, name=""):
    """One month's totals, over the lanes: attribute → sum."""
    month = datetime.datetime.now(datetime.timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start, totals = int(month.timestamp()), {}
    for bucket in range(16):
        pk = f"R#M#{kind}#{start:012}#{bucket:02}"
        items = dynamodb.query(
            TableName=TABLE, ConsistentRead=True, KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
            ExpressionAttributeValues={":p": {"S": pk}, ":s": {"S": f"{name}#"}},
        )["Items"]
        for item in items:
            for attribute, value in item.items():
                if attribute.endswith("_0"):
                    totals[attribute] = totals.get(attribute, Decimal(0)) + Decimal(value["N"])
    return totals


def record(agent, event_id):
    key = {"pk": {"S": f"E#{agent}#E#{event_id}"}, "sk": {"S": "E"}}
    return dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")


def messages(queue):
    for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        yield json.loads(json.loads(message["Body"])["Message"])


def metric(name, dimensions=()):
    now = datetime.datetime.now(datetime.timezone.utc)
    found = cloudwatch.get_metric_statistics(
        Namespace=outputs["metrics_namespace"], MetricName=name, Statistics=["Sum"], Period=60,
        StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(minutes=5),
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
    )
    return sum(point["Sum"] for point in found["Datapoints"])


queue = sqs.create_queue(QueueName="e2e-alerts")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
sns.subscribe(TopicArn=outputs["alert_topic_arn"], Protocol="sqs", Endpoint=arn)

# The README's own request.
line = next(line for line in open(README) if line.startswith("curl -XPOST"))
agent, body = re.search(r"x-agent-id: ([^']+)'", line)[1], re.search(r"-d '([^']+)'", line)[1]
sent = time.time()
(event_id,) = post(agent, body)
print(f"receipt after {time.time() - sent:.2f} s: {event_id}")
stored = wait_for("the usage record", lambda: record(agent, event_id))
print(f"usage record after {time.time() - sent:.2f} s: {stored['pk']['S']}, version {stored['v']['N']}")
totals = wait_for("the rollup", lambda: rollup("agent", agent))
print(f"event to rollup: {time.time() - sent:.2f} s: {({k: str(v) for k, v in totals.items()})}")
assert totals["unsplit_0"] == 1500 and totals["unpriced_events_0"] == 1, totals
seen = []


def crossing():
    seen.extend(messages(queue))
    return [alert for alert in seen if alert.get("kind") == "threshold" and alert.get("threshold_percent") == 100]


(alert,) = wait_for("the message of the crossed budget", crossing)
print(f"event to SNS: {time.time() - sent:.2f} s: {alert['text']}")

# Priced ones, in several forms, some of them sent twice.
for n in range(30):
    body = {"provider": "openai", "model": "gpt-4o-mini", "usage": {"input": 1000 + n, "output": 100}}
    for _ in range(1 + n % 2):
        post(f"agent-{n % 5}", json.dumps(body), key=f"e2e-{n}")
wanted = wait_for("30 more events", lambda: rollup("org")["events_0"] == 31 and rollup("org"))
print("totals of the organisation:", json.dumps({k: format(v.normalize(), "f") for k, v in sorted(wanted.items())}))
assert wanted["input_0"] == 30 * 1000 + sum(range(30)) and wanted["output_0"] == 3000, wanted
# With a dimension: without one, the emulator adds all series up.
mine = [n for n in range(30) if n % 5 == 1]
for name, value in (("Events", len(mine)), ("Tokens", sum(1100 + n for n in mine))):
    wait_for(f"the metric {name}", lambda: metric(name, [("AgentId", "agent-1")]) == value)
    print(f"metric {name} of agent-1: {value}")
wait_for("the metric of an agent", lambda: metric("TokenCost", [("AgentId", "agent-1")]) > 0)
seen.extend(messages(queue))
# Alarms come by the same topic, in CloudWatch's own form.
ids = [message["id"] for message in seen if "id" in message]
assert len(ids) == len(set(ids)), f"an alert came twice: {ids}"
print(f"{len(ids)} alerts, each once")
