"""Runs our functions and a plain handler against the emulator, and counts what they call.

usage: functions.py PORT DIR BOOTSTRAPS DIRECTORY_OF_RUNTIME

For each line of its input, `ours N` or `plain N`, it sends 1,000 events in submissions of N through a function, and answers
with a line of JSON: calls, of these PutMetricData, write units in thousandths, Kinesis records, and nanoseconds.
"""
import base64
import collections
import http.client
import http.server
import json
import os
import sys
import threading
import uuid

import boto3

PORT, DIR, BOOTSTRAPS, RUNTIME = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
sys.path.insert(0, RUNTIME)
import runtime  # noqa: E402

# The mapping's batch size, as the Terraform module sets it by default.
EVENTS, BATCH = 1_000, 1_000
RUN = uuid.uuid4().hex[:6]
counts = collections.Counter()
local = threading.local()


class Counting(http.server.BaseHTTPRequestHandler):
    """Passes calls on to the emulator, and asks DynamoDB what they consumed."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def passed_on(self, body, headers):
        """The emulator closes connections that wait for long, as while the other function has its turn."""
        for last in (False, True):
            if last or not hasattr(local, "upstream"):
                local.upstream = http.client.HTTPConnection("127.0.0.1", PORT)
            try:
                local.upstream.request("POST", self.path, body, headers)
                return local.upstream.getresponse()
            except ConnectionError:
                if last:
                    raise

    def do_POST(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        dynamo = target.startswith("DynamoDB")
        if dynamo:
            body = json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}).encode()
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() not in ("content-length", "transfer-encoding", "host", "connection", "expect")}
        headers["Host"] = f"127.0.0.1:{PORT}"
        answer = self.passed_on(body, headers)
        content = answer.read()
        name = target.split(".")[-1] or self.path.rsplit("/", 1)[-1]
        if not name and b"Action=" in body:
            name = body.split(b"Action=")[1].split(b"&")[0].decode()
        counts["calls"] += 1
        counts[name] += 1
        if name == "PutRecords" and target.startswith("Kinesis"):
            counts["records"] += len(json.loads(body)["Records"])
        elif name == "PutRecord" and target.startswith("Kinesis"):
            counts["records"] += 1
        if dynamo and answer.status == 200 and name in WRITES:
            consumed = json.loads(content).get("ConsumedCapacity", [])
            for one in consumed if isinstance(consumed, list) else [consumed]:
                counts["write_units"] += round(1_000 * one["CapacityUnits"])
        self.send_response(answer.status)
        for header, value in answer.getheaders():
            if header.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}


def client(service):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=f"http://127.0.0.1:{PORT}", **keys)


def create(table, indexes):
    names = {"pk", "sk"} | {name for _, keys in indexes for name in keys}
    more = {"GlobalSecondaryIndexes": [
        {"IndexName": index, "Projection": {"ProjectionType": "KEYS_ONLY"},
         "KeySchema": [{"AttributeName": a, "KeyType": t} for a, t in zip(keys, ("HASH", "RANGE"))]}
        for index, keys in indexes]} if indexes else {}
    client("dynamodb").create_table(
        TableName=table, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in sorted(names)], **more)


def submissions(batch, round_):
    """Requests as API Gateway hands them over: the same events of ten agents, whatever the size."""
    for n in range(EVENTS // batch):
        events = [{"agent_id": f"agent-{e // 100:04}", "task_id": f"T-{e // 100}", "provider": "openai",
                   "model": "gpt-4o-mini", "usage": {"input": 500 + e * 13 % 1500, "output": 50 + e * 11 % 400}}
                  for e in range(n * batch, (n + 1) * batch)]
        headers = {"content-type": "application/json", "idempotency-key": f"{RUN}-{round_}-{batch}-{n}"}
        yield json.dumps({
            "version": "2.0", "routeKey": "POST /v1/usage", "rawPath": "/v1/usage", "rawQueryString": "", "headers": headers,
            "requestContext": {
                "accountId": "000000000000", "apiId": "a", "domainName": "a.example", "requestId": uuid.uuid4().hex,
                "routeKey": "POST /v1/usage", "stage": "$default", "time": "26/Nov/2026:12:00:00 +0000",
                "http": {"method": "POST", "path": "/v1/usage", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            },
            "body": json.dumps(events[0] if batch == 1 else {"events": events}), "isBase64Encoded": False,
        }).encode()


class Stream:
    """What ingest put and the aggregator has not had."""

    def __init__(self, name):
        self.name, self.kinesis = name, client("kinesis")
        shard = self.kinesis.list_shards(StreamName=name)["Shards"][0]["ShardId"]
        self.at = self.kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]

    def batch(self):
        answer = self.kinesis.get_records(ShardIterator=self.at, Limit=BATCH)
        self.at, read = answer["NextShardIterator"], answer["Records"]
        return read and json.dumps({"Records": [{
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": r["PartitionKey"], "sequenceNumber": r["SequenceNumber"],
                "data": base64.b64encode(r["Data"]).decode(),
                "approximateArrivalTimestamp": r["ApproximateArrivalTimestamp"].timestamp(),
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventName": "aws:kinesis:record",
            "eventID": f"shardId-000000000000:{r['SequenceNumber']}", "awsRegion": "us-east-1",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/f",
            "eventSourceARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{self.name}",
        } for r in read]}).encode()


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    ours, theirs = f"AgentLedger-{RUN}", f"Plain-{RUN}"
    create(ours, (("by_time", ("tpk", "tsk")), ("unmet", ("upk", "usk"))))
    create(theirs, ())
    client("kinesis").create_stream(StreamName=ours, ShardCount=1)
    environment = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_address[1]}", "AGENTLEDGER_TABLE": ours,
                   "AGENTLEDGER_STREAM": ours, "AGENTLEDGER_AUTH": "none", "TABLE": theirs,
                   "AWS_DEFAULT_REGION": "us-east-1", "AGENTLEDGER_LOG": "error", "PYTHONDONTWRITEBYTECODE": "1"}
    plain = f"{DIR}/plain_handler"
    with open(plain, "w") as file:
        file.write(f"#!/bin/sh\nexec '{sys.executable}' '{DIR}/plain_handler.py'\n")
    os.chmod(plain, 0o755)
    with open(f"{DIR}/functions.log", "w") as log:
        ingest = runtime.Function(runtime.bootstrap(BOOTSTRAPS, "ingest"), environment, log)
        aggregator = runtime.Function(runtime.bootstrap(BOOTSTRAPS, "aggregator"), environment, log)
        handler = runtime.Function(plain, environment, log)
        functions = ingest, aggregator, handler
        try:
            for function in functions:
                function.wait_idle()
            stream = Stream(ours)

            def run(kind, batch, round_):
                counts.clear()
                total_cpu = total_passed = 0
                for request in submissions(batch, round_):
                    answer, cpu, passed = (ingest if kind == "ours" else handler).invoke(request)
                    assert answer["statusCode"] == 200, answer
                    total_cpu, total_passed = total_cpu + cpu, total_passed + passed
                while kind == "ours" and (batch_ := stream.batch()):
                    answer, cpu, passed = aggregator.invoke(batch_)
                    assert answer == {"batchItemFailures": []}, answer
                    total_cpu, total_passed = total_cpu + cpu, total_passed + passed
                print(dict(counts), file=log, flush=True)
                return {"calls": counts["calls"], "metrics": counts["PutMetricData"], "write_units": counts["write_units"],
                        "records": counts["records"], "processor_ns": round(total_cpu * 1e9),
                        "passed_ns": round(total_passed * 1e9)}

            # First calls of a process are no measure of those that follow.
            for kind in ("ours", "plain"):
                run(kind, 100, "warm")
            print("{}", file=out, flush=True)
            for round_, line in enumerate(sys.stdin):
                kind, batch = line.split()
                print(json.dumps(run(kind, int(batch), round_)), file=out, flush=True)
        finally:
            for function in functions:
                function.stop()


main()
