#!/usr/bin/env python3
"""What AWS documents of event source mappings on streams, held against the emulator: a check for each rule, for a
Kinesis stream and for the stream of a DynamoDB table.

usage: conformance.py PORT DIR [CHECK…]    Started by conformance.sh. DIR takes the notes of the functions.
Rules: AWS Lambda Developer Guide, "How Lambda processes records from stream and queue-based event sources", "Using
Lambda to process records from Kinesis" / "DynamoDB Streams", and "Control which events Lambda sends to your function".
"""
import io
import json
import os
import sys
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

PORT, DIR = sys.argv[1], sys.argv[2]
HERE = os.path.dirname(os.path.realpath(__file__))
ROLE = "arn:aws:iam::000000000000:role/probe"
PARTIAL = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
CHECKS = {}


def client(service):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{PORT}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(max_pool_connections=50, retries={"max_attempts": 1}),
    )


lambda_, kinesis, dynamodb, sqs = (client(s) for s in ("lambda", "kinesis", "dynamodb", "sqs"))


def check(*sources):
    """A rule, for Kinesis ("k"), DynamoDB ("d") or both."""

    def add(rule):
        for source in sources:
            CHECKS[f"{rule.__name__}-{source}"] = (rule, source)
        return rule

    return add


def bootstrap():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("bootstrap")
        info.external_attr = 0o755 << 16
        with open(f"{HERE}/probe.py") as probe:
            archive.writestr(info, probe.read())
    return buffer.getvalue()


class World:
    """A stream, a function and a queue for one check, and the mapping between them."""

    def __init__(self, name, source):
        self.name, self.source = f"{name}-{uuid.uuid4().hex[:6]}", source
        self.notes = f"{DIR}/{self.name}.notes"
        if source == "k":
            kinesis.create_stream(StreamName=self.name, ShardCount=1)
            kinesis.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig={"Delay": 1})
            self.arn = kinesis.describe_stream(StreamName=self.name)["StreamDescription"]["StreamARN"]
        else:
            table = dynamodb.create_table(
                TableName=self.name,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in ("pk", "sk")],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            )
            self.arn = table["TableDescription"]["LatestStreamArn"]
        queue = sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self.queue = queue
        self.queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        lambda_.create_function(
            FunctionName=self.name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=ROLE,
            Timeout=3,
            Code={"ZipFile": bootstrap()},
            Environment={"Variables": {"NOTES": self.notes}},
        )
        lambda_.get_waiter("function_active_v2").wait(FunctionName=self.name, WaiterConfig={"Delay": 1})

    def map(self, **settings):
        settings = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, "MaximumRetryAttempts": -1} | settings
        settings["DestinationConfig"] = {"OnFailure": {"Destination": self.queue_arn}}
        created = lambda_.create_event_source_mapping(FunctionName=self.name, EventSourceArn=self.arn, **settings)
        self.mapping = created["UUID"]
        return self

    def enable(self, enabled):
        lambda_.update_event_source_mapping(UUID=self.mapping, Enabled=enabled)

    def put(self, *texts):
        """Puts records in order. "key" is their partition."""
        if self.source == "k":
            records = [
                {"Data": json.dumps(t).encode(), "PartitionKey": t.get("key", "one")}
                for t in texts
            ]
            answer = kinesis.put_records(StreamName=self.name, Records=records)
            assert answer["FailedRecordCount"] == 0, answer
            return
        for text in texts:
            # The key of a DynamoDB record is its item's.
            item = {"pk": text.get("key", "one"), "sk": text.get("item", "one"), "text": json.dumps(text)}
            dynamodb.put_item(TableName=self.name, Item={k: {"S": v} for k, v in item.items()})

    def invocations(self):
        if not os.path.exists(self.notes):
            return []
        with open(self.notes) as notes:
            return [json.loads(line) for line in notes if line.endswith("\n")]

    def batches(self):
        return [names for _, _, names, _ in self.invocations()]

    def numbers(self):
        """The sequence number of each record that was delivered, by its name."""
        return {name: seq for _, _, names, seqs in self.invocations() for name, seq in zip(names, seqs)}

    def until(self, wanted, seconds=20):
        """Waits until `wanted` of the batches holds."""
        end = time.time() + seconds
        while time.time() < end:
            if wanted(self.batches()):
                return
            time.sleep(0.05)
        raise AssertionError(f"did not come to pass within {seconds} s; batches: {self.batches()}")

    def settles_as(self, batches, quiet=0.8):
        """The batches come to be these, and stay so."""
        self.until(lambda now: len(now) >= len(batches))
        time.sleep(quiet)
        assert self.batches() == batches, f"\n  got    {self.batches()}\n  wanted {batches}"

    def messages(self, count, seconds=15):
        """So many messages of the on-failure destination; then there is no other."""
        found, end = [], time.time() + seconds
        while time.time() < end and len(found) < max(count, 1):
            answer = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            if count == 0:
                break
            time.sleep(0.1)
        assert len(found) == count, f"{len(found)} messages instead of {count}: {found}"
        return found

    def waiting(self):
        """How many messages of the on-failure destination nobody took yet."""
        name = "ApproximateNumberOfMessages"
        answer = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def info(self, message):
        return message["KinesisBatchInfo" if self.source == "k" else "DDBStreamBatchInfo"]


def plain(*names):
    return [{"n": str(n)} for n in names]


def names(*numbers):
    return [str(n) for n in numbers]


@check("k", "d")
def batches_hold_at_most_the_batch_size_and_are_in_order(world):
    world.put(*plain(*range(25)))
    # With two batches at a time, of which one key takes one.
    world.map(BatchSize=10, ParallelizationFactor=2)
    world.settles_as([names(*range(10)), names(*range(10, 20)), names(*range(20, 25))])


@check("k", "d")
def a_reported_failure_is_where_the_retry_begins(world):
    records = plain(*range(6))
    records[2] |= {"do": "report", "times": 2}
    records[4] |= {"do": "report", "times": 1}
    world.put(*records)
    world.map(**PARTIAL)
    # Of several the lowest counts; the answer names the highest first.
    world.settles_as([names(*range(6)), names(2, 3, 4, 5), names(2, 3, 4, 5)])
    world.messages(0)


@check("k", "d")
def a_report_is_only_heard_where_the_mapping_says_so(world):
    records = plain(0, 1, 2)
    records[1] |= {"do": "report"}
    world.put(*records)
    world.map()
    world.settles_as([names(0, 1, 2)])


@check("k", "d")
def empty_answers_are_success(world):
    for answer in ("null", "{}", '{"batchItemFailures":[]}', '{"batchItemFailures":null}'):
        world.put({"n": answer, "do": "answer", "with": answer})
    world.map(BatchSize=1, **PARTIAL)
    world.settles_as([["null"], ["{}"], ['{"batchItemFailures":[]}'], ['{"batchItemFailures":null}']])


@check("k", "d")
def what_names_no_record_fails_the_whole_batch(world):
    answers = ['{"batchItemFailures":[{"itemIdentifier":%s}]}' % x for x in ('""', "null", '"77"')]
    answers.append('{"batchItemFailures":[{"bad":"{seq}"}]}')
    wanted = []
    for n, answer in enumerate(answers):
        # After a record that is done for all the function knows.
        world.put({"n": f"a{n}"}, {"n": f"b{n}", "do": "answer", "with": answer, "times": 1})
        wanted += [[f"a{n}", f"b{n}"]] * 2
    world.map(BatchSize=2, **PARTIAL)
    world.settles_as(wanted)


@check("k", "d")
def retries_end_and_the_positions_go_to_the_destination(world):
    records = plain(*range(4))
    records[1] |= {"do": "throw"}
    world.put(*records)
    world.map(BatchSize=3, MaximumRetryAttempts=2)
    # Once, two retries, and the stream goes on.
    world.settles_as([names(0, 1, 2)] * 3 + [names(3)])
    [message] = world.messages(1)
    context, info = message["requestContext"], world.info(message)
    assert context["condition"] == "RetryAttemptsExhausted", message
    assert context["approximateInvokeCount"] == 3, message
    assert context["functionArn"].endswith(f":function:{world.name}"), message
    assert message["responseContext"]["functionError"] == "Unhandled", message
    assert message["version"] == "1.0" and message["timestamp"].endswith("Z"), message
    assert info["batchSize"] == 3 and info["streamArn"] == world.arn, message
    assert info["shardId"].startswith("shardId-"), message
    assert info["approximateArrivalOfFirstRecord"] <= info["approximateArrivalOfLastRecord"], message
    numbers = world.numbers()
    assert [info["startSequenceNumber"], info["endSequenceNumber"]] == [numbers["0"], numbers["2"]], message
    assert not any(key in json.dumps(message) for key in ('"data"', '"NewImage"')), "it holds positions, no data"


@check("k", "d")
def without_a_limit_a_failure_is_tried_until_it_succeeds_and_holds_up_what_follows(world):
    world.put({"n": "0", "do": "throw", "times": 4}, {"n": "1"}, {"n": "2"})
    world.map(BatchSize=2)
    world.settles_as([names(0, 1)] * 5 + [names(2)])
    world.messages(0)


@check("k", "d")
def bisecting_finds_the_one_that_fails(world):
    records = plain(*range(8))
    records[5] |= {"do": "throw"}
    world.put(*records)
    world.map(BatchSize=8, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1, **PARTIAL)
    # A split is no retry: the one that is left has all of its own.
    world.settles_as([names(*range(8)), names(0, 1, 2, 3), names(4, 5, 6, 7), names(4, 5), names(4), names(5),
                      names(5), names(6, 7)])
    [message] = world.messages(1)
    info = world.info(message)
    assert info["batchSize"] == 1, message
    assert info["startSequenceNumber"] == info["endSequenceNumber"] == world.numbers()["5"], message


@check("k", "d")
def a_report_splits_at_its_record_and_nowhere_else(world):
    records = plain(*range(4))
    records[1] |= {"do": "report", "times": 2}
    world.put(*records)
    world.map(BisectBatchOnFunctionError=True, **PARTIAL)
    world.settles_as([names(0, 1, 2, 3), names(1, 2, 3), names(1, 2, 3)])


@check("k", "d")
def a_reported_record_runs_out_of_retries_like_any_other(world):
    records = plain(*range(4))
    records[2] |= {"do": "report"}
    world.put(*records)
    world.map(BatchSize=3, MaximumRetryAttempts=1, **PARTIAL)
    world.settles_as([names(0, 1, 2), names(2), names(3)])
    [message] = world.messages(1)
    assert world.info(message)["batchSize"] == 1, message


@check("k", "d")
def a_record_that_is_too_old_is_given_up(world):
    world.put({"n": "0", "do": "throw"}, {"n": "1"})
    # AWS takes 60 at least; the emulator takes what a test can wait for.
    world.map(BatchSize=1, MaximumRecordAgeInSeconds=3)
    world.until(lambda batches: batches and batches[-1] == ["0"])
    world.until(lambda batches: world.waiting() > 0)
    world.put({"n": "2"})
    world.until(lambda batches: batches[-1] == ["2"])
    # The second became too old while it waited, and was never sent.
    assert ["1"] not in world.batches(), world.batches()
    messages = world.messages(2)
    assert {m["requestContext"]["condition"] for m in messages} == {"MaxRecordAgeExceeded"}, messages
    assert all(world.info(m)["batchSize"] == 1 for m in messages), messages


@check("k", "d")
def batches_run_side_by_side_and_a_key_stays_in_order(world):
    keys = [f"key{k}" for k in range(12)]
    records = [{"n": f"{key}:{n}", "key": key, "do": "sleep", "seconds": 0.1} for n in range(4) for key in keys]
    records[13] |= {"do": "throw", "times": 1}
    world.put(*records)
    world.map(BatchSize=4, ParallelizationFactor=4)
    wanted = {record["n"] for record in records}
    world.until(lambda batches: wanted <= {n for batch in batches for n in batch}, 30)
    spans = world.invocations()
    overlapping = max(sum(a <= s < b for a, b, *_ in spans) for s, *_ in spans)
    assert 2 <= overlapping <= 4, f"{overlapping} at a time"
    # Invocations of a key one after the other, and its records in order, apart from what came again.
    for key in keys:
        own = [(a, b, [n for n in batch if n.startswith(f"{key}:")]) for a, b, batch, _ in spans]
        own = [span for span in own if span[2]]
        assert all(before[1] <= after[0] for before, after in zip(own, own[1:])), f"{key} at the same time"
        order, high = [n for _, _, batch in own for n in batch], -1
        for n in order:
            number = int(n.split(":")[1])
            assert number <= high + 1, f"{key} out of order: {order}"
            high = max(high, number)


@check("k")
def records_that_no_filter_matches_are_skipped(world):
    records = [{"n": str(n), "kind": "R#H#x" if n % 3 == 0 else "E#x"} for n in range(12)]
    world.put(*records, *({"n": "late", "kind": "E#y"} for _ in range(15)), {"n": "end", "kind": "B#"})
    patterns = [{"data": {"kind": [{"prefix": "R#H#"}]}}, {"data": {"kind": [{"prefix": "B#"}]}}]
    filters = {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}
    world.map(BatchSize=10, FilterCriteria=filters, **PARTIAL)
    world.until(lambda batches: batches and batches[-1][-1] == "end")
    assert [n for batch in world.batches() for n in batch] == names(0, 3, 6, 9) + ["end"], world.batches()


@check("d")
def changes_that_no_filter_matches_are_skipped(world):
    kinds = ["R#H#x", "E#x", "B#", "R#D#x"]
    world.put(*({"n": str(n), "key": kinds[n % 4], "item": str(n)} for n in range(12)))
    # A change, and a removal, which a filter on the event's name keeps out.
    world.put({"n": "4 again", "key": "R#H#x", "item": "4"})
    dynamodb.delete_item(TableName=world.name, Key={"pk": {"S": "R#H#x"}, "sk": {"S": "0"}})
    world.put({"n": "end", "key": "B#", "item": "end"})
    patterns = [{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": {"pk": {"S": [{"prefix": p}]}}}}
                for p in ("R#H#", "B#")]
    world.map(BatchSize=3, FilterCriteria={"Filters": [{"Pattern": json.dumps(p)} for p in patterns]}, **PARTIAL)
    world.until(lambda batches: batches and batches[-1][-1] == "end")
    wanted = names(0, 2, 4, 6, 8, 10) + ["4 again", "end"]
    assert [n for batch in world.batches() for n in batch] == wanted, world.batches()


@check("k", "d")
def a_failure_among_filtered_records_comes_again_alone(world):
    # "key" filters a DynamoDB record, "kind" a Kinesis record.
    records = [{"n": str(n), "key": "x" if n % 2 else "y", "item": str(n), "kind": "x" if n % 2 else "y"}
               for n in range(6)]
    records[3] |= {"do": "report", "times": 1}
    world.put(*records)
    pattern = {"data": {"kind": ["x"]}} if world.source == "k" else {"dynamodb": {"Keys": {"pk": {"S": ["x"]}}}}
    world.map(FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]}, **PARTIAL)
    world.settles_as([names(1, 3, 5), names(3, 5)])


@check("k", "d")
def the_window_gathers_and_a_full_batch_does_not_wait(world):
    world.map(BatchSize=4, MaximumBatchingWindowInSeconds=2)
    world.put(*plain(0, 1))
    time.sleep(0.7)
    world.put(*plain(2))
    assert world.batches() == [], world.batches()
    world.settles_as([names(0, 1, 2)], 0.2)
    began = time.time()
    world.put(*plain(3, 4, 5, 6))
    world.until(lambda batches: batches[-1] == names(3, 4, 5, 6))
    assert time.time() - began < 1.5, "a full batch waited"


@check("k", "d")
def a_disabled_mapping_pauses_and_goes_on_where_it_was(world):
    world.put(*plain(0, 1))
    world.map()
    world.settles_as([names(0, 1)], 0.3)
    world.enable(False)
    time.sleep(0.5)
    world.put(*plain(2, 3))
    time.sleep(1.5)
    assert world.batches() == [names(0, 1)], world.batches()
    world.enable(True)
    world.settles_as([names(0, 1), names(2, 3)])


@check("k", "d")
def a_mapping_that_is_disabled_in_a_failure_goes_on_at_the_failure(world):
    records = plain(*range(4))
    records[2] |= {"do": "report", "times": 4}
    world.put(*records)
    world.map(**PARTIAL)
    world.until(lambda batches: len(batches) >= 2)
    world.enable(False)
    time.sleep(2.5)
    paused = world.batches()
    assert paused == [names(0, 1, 2, 3)] + [names(2, 3)] * (len(paused) - 1), paused
    time.sleep(1)
    assert world.batches() == paused, "it went on while it was disabled"
    world.enable(True)
    world.settles_as([names(0, 1, 2, 3)] + [names(2, 3)] * 4)


@check("k", "d")
def a_crash_and_a_timeout_are_errors_of_the_function(world):
    world.put({"n": "0", "do": "crash", "times": 1}, {"n": "1", "do": "sleep", "seconds": 8, "times": 1})
    world.map(BatchSize=1)
    world.settles_as([names(0), names(0), names(1), names(1)])


@check("k", "d")
def a_throttle_is_no_attempt(world):
    world.put(*plain(0))
    lambda_.put_function_concurrency(FunctionName=world.name, ReservedConcurrentExecutions=0)
    world.map(MaximumRetryAttempts=0)
    time.sleep(2)
    assert world.batches() == [], world.batches()
    lambda_.delete_function_concurrency(FunctionName=world.name)
    world.settles_as([names(0)])
    world.messages(0)


@check("k", "d")
def the_starting_position_is_kept(world):
    world.put(*plain(0, 1))
    world.map(StartingPosition="LATEST")
    time.sleep(1)
    world.put(*plain(2))
    world.settles_as([names(2)])


@check("k")
def a_batch_fits_an_invocation(world):
    records = [{"n": str(n), "fill": "x" * 700_000} for n in range(10)]
    for at in range(0, 10, 5):
        world.put(*records[at:at + 5])
    world.map(BatchSize=100)
    # 700 kB are 933 kB in base64: six of them are below 6 MiB.
    world.settles_as([names(*range(6)), names(6, 7, 8, 9)])


def run(name):
    rule, source = CHECKS[name]
    began = time.time()
    world = None
    try:
        world = World(name.replace("_", "")[:40], source)
        rule(world)
        problem = None
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        if world and hasattr(world, "mapping"):
            lambda_.delete_event_source_mapping(UUID=world.mapping)
    return name, problem, time.time() - began


def main():
    chosen = [name for name in CHECKS if not sys.argv[3:] or any(name.startswith(c) for c in sys.argv[3:])]
    if not chosen:
        print("no such check", file=sys.stderr)
        return 2
    began, failed = time.time(), 0
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "8"))) as pool:
        for name, problem, took in pool.map(run, chosen):
            failed += problem is not None
            rule = name[:-2].replace("_", " ") + (" (Kinesis)" if name.endswith("k") else " (DynamoDB)")
            print(f"{'FAILED' if problem else 'ok':6} {took:5.1f} s  {rule}", flush=True)
            if problem:
                print(f"       {problem}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} rules hold, in {time.time() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
