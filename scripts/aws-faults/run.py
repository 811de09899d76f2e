#!/usr/bin/env python3
"""20,000 events of 50 agents through the functions on a local AWS, while calls fail, functions are killed and records of
the stream are poison. Totals have to be exact, every alert delivered, every poison record put aside, and brought back
once it is mended; and what was counted may be read again without a change. usage: run.py ENDPOINT PACKAGES_DIR SCRATCH_DIR AGENTLEDGER [EVENTS] [SEED]"""
import base64
import collections
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from decimal import Decimal
from pathlib import Path

import boto3
from botocore.config import Config

ENDPOINT, PACKAGES, SCRATCH, COMMAND = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
EVENTS = int(sys.argv[5]) if len(sys.argv) > 5 else 20_000
SEED = int(sys.argv[6]) if len(sys.argv) > 6 else 1
AGENTS, SHARE = 50, 20
PORT = int(ENDPOINT.rsplit(":", 1)[1])
PROXY = PORT + 1
NAME = "Faults"
TIMES = {}
rng = random.Random(SEED)


def client(service):
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=Config(max_pool_connections=32, retries={"max_attempts": 5}),
    )


dynamodb, kinesis, lambdas, sqs, sns = map(client, ("dynamodb", "kinesis", "lambda", "sqs", "sns"))


def make_table():
    names = ("pk", "sk", "tpk", "tsk", "upk", "usk")
    keys = lambda hash, range: [{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}]
    index = lambda name, hash, range: {
        "IndexName": name, "KeySchema": keys(hash, range), "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    table = dynamodb.create_table(
        TableName=NAME, BillingMode="PAY_PER_REQUEST", KeySchema=keys("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        GlobalSecondaryIndexes=[index("by_time", "tpk", "tsk"), index("unmet", "upk", "usk")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )["TableDescription"]
    return table["LatestStreamArn"]


def make_function(name, environment, timeout):
    package = next(PACKAGES.glob(f"{name}-x86_64.zip"))
    lambdas.create_function(
        FunctionName=f"{NAME}-{name}", Runtime="provided.al2023", Handler="bootstrap", Timeout=timeout, MemorySize=256,
        Role="arn:aws:iam::000000000000:role/faults", Code={"ZipFile": package.read_bytes()},
        Environment={"Variables": {"AGENTLEDGER_TABLE": NAME, "AGENTLEDGER_STREAM": NAME, **environment}},
    )


def make_mapping(name, source, filters=()):
    queue = sqs.create_queue(QueueName=f"{NAME}-{name}-failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lambdas.create_event_source_mapping(
        FunctionName=f"{NAME}-{name}", EventSourceArn=source, StartingPosition="TRIM_HORIZON", BatchSize=500,
        MaximumBatchingWindowInSeconds=0, FunctionResponseTypes=["ReportBatchItemFailures"],
        BisectBatchOnFunctionError=True, MaximumRetryAttempts=-1, MaximumRecordAgeInSeconds=-1,
        DestinationConfig={"OnFailure": {"Destination": arn}},
        **({"FilterCriteria": {"Filters": [{"Pattern": json.dumps(f)} for f in filters]}} if filters else {}),
    )
    return queue


def submissions():
    """(agent, key or none, events, what they cost) in the order of sending."""
    made, left = [], EVENTS
    while left:
        agent = f"agent-{rng.randrange(AGENTS):02}"
        size = min(left, rng.choice([1, 1, 5, 20, 50, 100]))
        left -= size
        key = f"key-{len(made)}" if rng.random() < 0.6 else None
        events = []
        for n in range(size):
            event = {
                "provider": "openai", "model": rng.choice(["gpt-4o-mini", "gpt-4o-mini", "mystery-1"]),
                "task_id": f"T-{rng.randrange(20)}", "usage": {"input": rng.randrange(2000), "output": rng.randrange(300)},
            }
            if key is None:
                event["id"] = f"own-{len(made)}-{n}"
            events.append(event)
        made.append((agent, key, events))
    return made


PRICES = {"gpt-4o-mini": (Decimal("0.00000015"), Decimal("0.0000006"))}


def cost(event):
    if event["model"] not in PRICES:
        return None
    into, out = PRICES[event["model"]]
    return into * event["usage"]["input"] + out * event["usage"]["output"]


def send(agent, key, events):
    """Sends until there is a receipt, and now and then once more."""
    headers = {"x-agent-id": agent, "content-type": "application/json"}
    if key:
        headers["idempotency-key"] = key
    request = {
        "version": "2.0", "rawPath": "/v1/usage", "rawQueryString": "", "headers": headers, "isBase64Encoded": False,
        "requestContext": {"http": {"method": "POST", "path": "/v1/usage"}, "stage": "$default", "requestId": "r"},
        "body": json.dumps({"events": events}),
    }
    again = random.Random(f"{agent}{key}{len(events)}").random() < 0.2
    receipts = 0
    for _ in range(50):
        answer = lambdas.invoke(FunctionName=f"{NAME}-ingest", Payload=json.dumps(request).encode())
        payload = json.loads(answer["Payload"].read())
        if payload.get("statusCode") == 200:
            receipts += 1
            if receipts > again:
                return
        else:
            assert payload.get("statusCode", 503) in (429, 502, 503), payload
            time.sleep(0.2)
    raise RuntimeError(f"no receipt: {payload}")


def processes():
    """Processes of our functions: (pid, function)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"AGENTLEDGER_TABLE={NAME}".encode() in environment:
                name = [v for v in environment if v.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")]
                if name:
                    yield int(entry.name), name[0].decode().split("=")[1]


def kill_at_random(stop, killed):
    chance = random.Random(SEED)
    while not stop.wait(chance.uniform(1.5, 5.0)):
        victims = [(pid, name) for pid, name in processes() if not name.endswith("-ingest")]
        if victims:
            pid, name = chance.choice(victims)
            try:
                os.kill(pid, signal.SIGKILL)
                killed[name] += 1
            except ProcessLookupError:
                pass


def budgets_for(sent):
    """Budgets, and the ids of the alerts that they have to give: all of one, some of another, none of the last."""
    tokens, tasks, usd = 0, collections.Counter(), collections.Counter()
    for agent, _, events in sent:
        for event in events:
            used = event["usage"]["input"] + event["usage"]["output"]
            tokens += used
            tasks[event["task_id"]] += used
            usd[agent] += cost(event) or 0
    (dearest, spent), task = usd.most_common(1)[0], "T-3"
    budgets = [
        {"name": "all", "scope": "org", "limit_tokens": tokens * 9 // 10, "period": "month"},
        {"name": "one", "scope": f"agent:{dearest}", "limit_usd": str(spent * 2), "period": "month", "thresholds": [10, 40, 100]},
        {"name": "none", "scope": f"task:{task}", "limit_tokens": tasks[task] * 3, "period": "month"},
    ]
    month = time.strftime("%Y%m01T000000Z", time.gmtime())
    crossed = [("all", 50), ("all", 80), ("all", 100), ("one", 10), ("one", 40)]
    return budgets, {f"{name}.v1.{month}.{percent}.1" for name, percent in crossed}


def sweep(budgets=()):
    event = json.dumps({"agentledger": "sweep", "budgets": list(budgets)}).encode()
    return lambdas.invoke(FunctionName=f"{NAME}-alerter", Payload=event).get("FunctionError") is None


def sweep_at_times(stop):
    while not stop.wait(5):
        sweep()


def scan(prefix):
    found = []
    for page in dynamodb.get_paginator("scan").paginate(
        TableName=NAME, ConsistentRead=True, FilterExpression="begins_with(pk, :p)",
        ExpressionAttributeValues={":p": {"S": prefix}},
    ):
        found.extend(page["Items"])
    return found


def text_of(value):
    """A value as the table holds it: text, or deflated where it is long."""
    return value["S"] if "S" in value else zlib.decompress(value["B"], -15)


def totals_by(kind):
    """The month's rollups of a kind, over the lanes: name → attribute → sum."""
    totals = collections.defaultdict(lambda: collections.defaultdict(Decimal))
    for item in scan(f"R#M#{kind}#"):
        name = item["sk"]["S"].split("#")[0]
        for attribute, value in item.items():
            if attribute.endswith("_0"):
                totals[name][attribute[:-2]] += Decimal(value["N"])
    return {name: {k: v for k, v in sums.items() if v} for name, sums in totals.items()}


def expected(sent):
    totals = collections.defaultdict(lambda: collections.defaultdict(Decimal))
    for agent, _, events in sent:
        for event in events:
            sums = totals[agent]
            sums["events"] += 1
            sums["input"] += event["usage"]["input"]
            sums["output"] += event["usage"]["output"]
            usd = cost(event)
            if usd is None:
                sums["unpriced_events"] += 1
                sums["unpriced_tokens"] += event["usage"]["input"] + event["usage"]["output"]
            else:
                sums["usd"] += usd
    return {agent: {k: v for k, v in sums.items() if v} for agent, sums in totals.items()}


def wait_for(what, seconds, look):
    began = time.time()
    while time.time() - began < seconds:
        if look():
            TIMES[what] = time.time() - began
            return
        time.sleep(0.5)
    sys.exit(f"{what}: not after {seconds} s")


def command(*arguments):
    environment = {
        **os.environ, "AWS_ENDPOINT_URL": ENDPOINT, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1", "AGENTLEDGER_TABLE": NAME, "AGENTLEDGER_STREAM": NAME,
        "AGENTLEDGER_AGGREGATOR": f"{NAME}-aggregator", "AGENTLEDGER_ALERTER": f"{NAME}-alerter",
    }
    done = subprocess.run([COMMAND, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"agentledger {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def heard(queue):
    """The ids of the alerts that came since the last look, and how often each."""
    ids = collections.Counter()
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            ids[json.loads(json.loads(message["Body"])["Message"])["id"]] += 1
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return ids


def rollups():
    """What all rollups say, lanes added up."""
    sums = collections.Counter()
    for item in scan("R#") + scan("P#"):
        name = (item["pk"]["S"], item["sk"]["S"].rpartition("#")[0])
        for attribute, value in item.items():
            if "N" in value and attribute != "n":
                sums[*name, attribute] += Decimal(value["N"])
    return {name: total for name, total in sums.items() if total}


def replays(queue, wanted):
    """The whole stream is read again twice, once more beside new events, and a day's rollups are lost and made anew: no
    total changes, and nobody hears of it."""
    counted = lambda: json.loads(command("replay", "--apply", "--aws", "--format", "json"))
    # The mended event names no model, of which there is a notice.
    assert sweep()
    heard(queue)
    before = rollups()
    for _ in range(2):
        again = counted()
        assert again["rows"] == [] and again["duplicates"] > 0, again
    assert rollups() == before, "a replay changed totals"
    usage = {"provider": "openai", "model": "gpt-4o-mini", "task_id": "T-live", "usage": {"input": 7, "output": 1}}
    live = [("agent-live", f"live-{n}", [usage] * 5) for n in range(60)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(send, *submission) for submission in live[:30]]
        beside = pool.submit(counted)
        sending += [pool.submit(send, *submission) for submission in live[30:]]
        for each in (*sending, beside):
            each.result()
    wanted = {**wanted, **expected(live)}
    wait_for("events beside a replay", 60, lambda: totals_by("agent") == wanted)

    before = rollups()
    lost = [item for item in scan("R#") + scan("P#") if item["pk"]["S"][1:3] in ("#H", "#D")]
    for item in lost:
        dynamodb.delete_item(TableName=NAME, Key={key: item[key] for key in ("pk", "sk")})
    assert rollups() != before
    day = [time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + days * 86_400)) for days in (-1, 1)]
    command("replay", "--shadow", "--promote", "--from", day[0], "--to", day[1], "--aws")
    assert rollups() == before, "lost rollups did not come back as they were"
    assert sweep()
    alerted = heard(queue)
    assert not alerted, f"somebody was alerted: {alerted}"
    print(f"replay: twice, and beside {5 * len(live)} new events, no total changed; {len(lost)} lost rollups came back; no alert")


def main():
    share = SCRATCH / "share"
    share.write_text("0")
    here = Path(__file__).parent
    proxy = subprocess.Popen([sys.executable, here / "proxy.py", str(PROXY), str(PORT), share, str(SEED)])
    stop = threading.Event()
    try:
        stream_of_table = make_table()
        kinesis.create_stream(StreamName=NAME, ShardCount=2)
        topic = sns.create_topic(Name=NAME)["TopicArn"]
        queue = sqs.create_queue(QueueName=f"{NAME}-alerts")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        faulty = {name: f"http://127.0.0.1:{PROXY}" for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SNS")}
        make_function("ingest", {"AGENTLEDGER_AUTH": "none", "AGENTLEDGER_LANES": "2"}, 15)
        make_function("aggregator", faulty, 60)
        topics = {f"AGENTLEDGER_TOPIC_{severity}": topic for severity in ("INFO", "WARNING", "CRITICAL")}
        make_function("alerter", {**topics, **faulty}, 60)
        stream = kinesis.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]["StreamARN"]
        watched = {"eventName": ["INSERT", "MODIFY"]}
        failures = [make_mapping("aggregator", stream), make_mapping("alerter", stream_of_table, [
            {**watched, "dynamodb": {"Keys": {"pk": {"S": [{"prefix": prefix}]}}}} for prefix in ("R#H#", "B#")
        ])]
        sent = submissions()
        budgets, crossed = budgets_for(sent)
        assert sweep(budgets), "the budgets were not set"

        share.write_text(str(SHARE))
        killed = collections.Counter()
        for work in ((kill_at_random, (stop, killed)), (sweep_at_times, (stop,))):
            threading.Thread(target=work[0], args=work[1], daemon=True).start()
        poison = [b"{not json", b"\xff\xfe\x00", b'{"v":99,"received":"2026-01-01T00:00:00Z","entries":[]}'] * 4
        began = time.time()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = []
            for n, submission in enumerate(sent):
                waiting.append(pool.submit(send, *submission))
                if n % (len(sent) // len(poison)) == 0 and n // (len(sent) // len(poison)) < len(poison):
                    data = poison[n // (len(sent) // len(poison))]
                    # Each its own content, so that each is put aside.
                    data += str(n).encode() if data[:2] != b'{"' or b"v" not in data else b" " * (n + 1)
                    kinesis.put_record(StreamName=NAME, Data=data, PartitionKey=str(n % 2))
            for each in waiting:
                each.result()
        print(f"{EVENTS} events in {len(sent)} submissions have receipts after {time.time() - began:.0f} s")
        wanted = expected(sent)
        wait_for("all counted", 900, lambda: totals_by("agent") == wanted)
        print(f"totals of {len(wanted)} agents are exact, {time.time() - began:.0f} s after the first")
        wait_for("poison put aside", 60, lambda: len(scan("Q#")) == len(poison))
        wait_for("alerts delivered", 120, lambda: (found := scan("L#")) and all("delivered" in a for a in found))
        stop.set()
        share.write_text("0")
        assert sum(killed.values()) > 0, "nothing was killed"
        print(f"killed: {dict(killed)}")

        # What the faults leave behind: nothing more comes of a sweep.
        assert sweep()
        stored = {item["pk"]["S"][2:] for item in scan("L#")}
        alerted = heard(queue)
        assert set(alerted) == stored, (alerted, stored)
        print(f"{len(stored)} alerts, each delivered: {sum(alerted.values())} messages")
        assert {i for i in stored if not i.startswith("unpriced")} == crossed, (stored, crossed)
        calls = sum(1 for item in scan("E#"))
        print(f"{calls} usage records")
        for url in failures:
            depth = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            assert depth["Attributes"]["ApproximateNumberOfMessages"] == "0", url

        listed = json.loads(command("redrive", "list", "--aws", "--format", "json"))
        items = listed.get("quarantine") or listed.get("items") or listed.get("rows") or []
        aside = [json.loads(text_of(item["data"])) for item in scan("Q#")]
        assert {item["id"] for item in items} == {item["id"] for item in aside}, items
        assert all(item["reason"] and item["payload"] for item in aside), aside
        print(f"{len(scan('Q#'))} poison records put aside, with payload and reason; listed: {len(items)}")
        mended = SCRATCH / "mended.json"
        mended.write_text(json.dumps({"id": "mended", "agent_id": "agent-07", "usage": {"input": 5}}))
        for item in aside:
            command("redrive", "retry", item["id"], "--payload", str(mended), "--aws")
        assert not scan("Q#"), "the quarantine is not empty"
        wanted["agent-07"]["events"] += 1
        wanted["agent-07"]["input"] += 5
        for name, more in (("unpriced_events", 1), ("unpriced_tokens", 5)):
            wanted["agent-07"][name] = wanted["agent-07"].get(name, Decimal(0)) + more
        wait_for("the mended event", 30, lambda: totals_by("agent") == wanted)
        print(f"redrive: {len(aside)} poison records mended to one event, which is counted once; the quarantine is empty")
        replays(queue, wanted)
    finally:
        stop.set()
        proxy.terminate()
        proxy.wait(10)


main()
