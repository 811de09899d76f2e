#!/usr/bin/env python3
"""ministack with event source mappings on streams that follow AWS's rules. Started by start.sh.

The stock pollers of ministack 1.5.33 ignore ReportBatchItemFailures (what is reported is lost), bisecting, retry
limits, parallelization and on-failure destinations. This replaces them for Kinesis and DynamoDB Streams; what is
promised is in conformance.py, each rule with a check. Left out: tumbling windows, the order of shards across a
reshard, AT_TIMESTAMP, enhanced fan-out. Rules: AWS Lambda Developer Guide, on Kinesis and on DynamoDB.
"""
import base64
import contextvars
import json
import os
import threading
import time
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor

import ministack.services.lambda_svc as L
from ministack.core.arn import parse_arn
from ministack.services import dynamodb as D
from ministack.services import kinesis as K

# AWS waits longer between attempts; tests would, too.
BACKOFF_MIN = float(os.environ.get("ESM_BACKOFF", "0.2"))
BACKOFF_MAX = float(os.environ.get("ESM_BACKOFF_MAX", "5"))
PORT = os.environ.get("GATEWAY_PORT", "4566")
# The payload of an invocation.
MAX_PAYLOAD = 6 * 1024 * 1024
IDLE = 0.1

_lanes = {}
_pool = ThreadPoolExecutor(64)


class Stopped(Exception):
    """The mapping was disabled or deleted."""


def iso(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03d}Z"


def send_to_queue(arn, body):
    queue = parse_arn(arn)
    url = f"http://127.0.0.1:{PORT}/{queue.account_id}/{arn.split(':')[-1]}"
    scope = f"test/20260101/{queue.region}/sqs/aws4_request"
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/",
        json.dumps({"QueueUrl": url, "MessageBody": body}).encode(),
        {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.SendMessage",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x",
        },
    )
    urllib.request.urlopen(request, timeout=10).read()


class Kinesis:
    """How a shard of a Kinesis stream is read."""

    info = "KinesisBatchInfo"

    @staticmethod
    def seq(record):
        return record["kinesis"]["sequenceNumber"]

    @staticmethod
    def at(record):
        return float(record["kinesis"]["approximateArrivalTimestamp"])

    @staticmethod
    def key(record):
        return record["kinesis"]["partitionKey"]

    @staticmethod
    def shards(arn):
        source = parse_arn(arn)
        stream = K._streams.get_scoped(source.account_id, source.region, arn.split("/")[-1])
        return list((stream or {}).get("shards", {}))

    @staticmethod
    def read(lane, limit):
        """Records behind the position, and where they begin; None if there is no such shard."""
        arn = lane.esm["EventSourceArn"]
        source = parse_arn(arn)
        stream = K._streams.get_scoped(source.account_id, source.region, arn.split("/")[-1])
        shard = stream and stream["shards"].get(lane.shard)
        if not shard:
            return None
        positions = L._kinesis_positions.get(lane.esm["UUID"])
        if positions is None:
            positions = L._kinesis_positions[lane.esm["UUID"]] = {}
        if lane.shard not in positions:
            from_start = lane.esm.get("StartingPosition") == "TRIM_HORIZON"
            positions[lane.shard] = 0 if from_start else len(shard["records"])
        position = positions[lane.shard]
        return [Kinesis.event(lane, raw) for raw in shard["records"][position:position + limit]], position

    @staticmethod
    def event(lane, raw):
        data = raw["Data"]
        number = raw["SequenceNumber"]
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": raw["PartitionKey"],
                "sequenceNumber": number,
                "data": base64.b64encode(data).decode() if isinstance(data, bytes) else data,
                "approximateArrivalTimestamp": raw["ApproximateArrivalTimestamp"],
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{lane.shard}:{number}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": lane.role,
            "awsRegion": lane.region,
            "eventSourceARN": lane.esm["EventSourceArn"],
        }

    @staticmethod
    def advance(lane, position):
        L._kinesis_positions[lane.esm["UUID"]][lane.shard] = position


class DynamoDb:
    """How the stream of a table is read; ministack's have one shard."""

    info = "DDBStreamBatchInfo"

    @staticmethod
    def seq(record):
        return record["dynamodb"]["SequenceNumber"]

    @staticmethod
    def at(record):
        return float(record["dynamodb"]["ApproximateCreationDateTime"])

    @staticmethod
    def key(record):
        return json.dumps(record["dynamodb"]["Keys"], sort_keys=True)

    @staticmethod
    def shards(_arn):
        return ["shardId-00000000000000000000-00000000"]

    @staticmethod
    def read(lane, limit):
        arn, uuid = lane.esm["EventSourceArn"], lane.esm["UUID"]
        table = arn.split("table/")[1].split("/")[0]
        if (D._tables.get(table) or {}).get("LatestStreamArn") != arn:
            return None
        first, end = D.stream_start_position(table), D.stream_end_position(table)
        with L._dynamodb_stream_positions_lock:
            if uuid not in L._dynamodb_stream_positions:
                from_start = lane.esm.get("StartingPosition") == "TRIM_HORIZON"
                L._dynamodb_stream_positions[uuid] = first if from_start else end
            position = max(L._dynamodb_stream_positions[uuid], first)
        return list(D.stream_records_since(table, position, limit)), position

    @staticmethod
    def advance(lane, position):
        with L._dynamodb_stream_positions_lock:
            L._dynamodb_stream_positions[lane.esm["UUID"]] = position


def first_failure(answer, numbers):
    """Where in a batch the retry begins, as the answer says; None if all of it succeeded."""
    if isinstance(answer, (str, bytes)):
        try:
            answer = json.loads(answer) if answer else None
        except ValueError:
            return 0
    if answer is None:
        return None
    if not isinstance(answer, dict):
        return 0
    failures = answer.get("batchItemFailures")
    if not failures:
        return None
    places = {number: n for n, number in enumerate(numbers)}
    named = [f.get("itemIdentifier") if isinstance(f, dict) else None for f in failures]
    # What names no record of the batch fails all of it.
    return min(places.get(name, 0) if isinstance(name, str) else 0 for name in named)


class Lane:
    """One shard of one mapping."""

    def __init__(self, esm, source, shard, account, region):
        self.esm, self.source, self.shard, self.account, self.region = esm, source, shard, account, region
        self.role = ""
        # Of what was read and is not behind the position yet: so that a mapping that was disabled in between goes on
        # where it was.
        self.done = set()

    def setting(self, name, default):
        value = self.esm.get(name)
        return default if value is None else value

    def give_up(self, func, batch, tries, condition, result):
        destination = ((self.esm.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if not destination:
            return
        seq, at = self.source.seq, self.source.at
        config = func.get("config") or func
        body = {
            "requestContext": {
                "requestId": L.new_uuid(),
                "functionArn": self.esm.get("FunctionArn") or config.get("FunctionArn", ""),
                "condition": condition,
                "approximateInvokeCount": tries,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": config.get("Version", "$LATEST"),
                "functionError": "Unhandled" if result.get("error") else None,
            },
            "version": "1.0",
            "timestamp": iso(time.time()),
            self.source.info: {
                "shardId": self.shard,
                "startSequenceNumber": seq(batch[0]),
                "endSequenceNumber": seq(batch[-1]),
                "approximateArrivalOfFirstRecord": iso(at(batch[0])),
                "approximateArrivalOfLastRecord": iso(at(batch[-1])),
                "batchSize": len(batch),
                "streamArn": self.esm["EventSourceArn"],
            },
        }
        try:
            send_to_queue(destination, json.dumps(body))
        except Exception as error:
            L.logger.error("the on-failure destination %s did not take a message: %s", destination, error)

    def work(self, func, batch):
        """Processes a batch in order; returns when each record is done or given up."""
        most_retries = int(self.setting("MaximumRetryAttempts", -1))
        most_age = int(self.setting("MaximumRecordAgeInSeconds", -1))
        partial = "ReportBatchItemFailures" in self.setting("FunctionResponseTypes", [])
        bisect = bool(self.setting("BisectBatchOnFunctionError", False))
        # Pieces, the next one last; how often each was tried, and how often it was put off in all.
        pieces, result = [(batch, 0, 0)], {}
        while pieces:
            piece, tries, waits = pieces.pop()
            if waits:
                time.sleep(min(BACKOFF_MAX, BACKOFF_MIN * 2 ** min(waits - 1, 10)))
            self.check_enabled()
            if most_age > 0:
                too_old = [r for r in piece if time.time() - self.source.at(r) > most_age]
                if too_old:
                    self.give_up(func, too_old, tries, "MaxRecordAgeExceeded", result)
                    self.finish(too_old)
                    piece = piece[len(too_old):]
                    if not piece:
                        continue
            if most_retries >= 0 and tries > most_retries:
                self.give_up(func, piece, tries, "RetryAttemptsExhausted", result)
                self.finish(piece)
                continue
            func = L._get_func_record_for_qualifier(self.esm["FunctionName"], self.esm.get("Qualifier"))[0] or func
            result = L._execute_function(func, {"Records": piece})
            if result.get("throttle"):
                # The function did not run: that is no attempt.
                pieces.append((piece, tries, waits + 1))
                continue
            failed_at = None
            if result.get("error"):
                failed_at = 0
            elif partial:
                failed_at = first_failure(result.get("body"), [self.source.seq(r) for r in piece])
            self.esm["LastProcessingResult"] = "OK" if failed_at is None else "PROBLEM: Function call failed"
            if failed_at is None:
                self.finish(piece)
            elif failed_at > 0:
                # What comes before the lowest number is done; the rest was tried once.
                self.finish(piece[:failed_at])
                pieces.append((piece[failed_at:], 1, 1))
            elif bisect and result.get("error") and len(piece) > 1:
                # A split is no attempt.
                half = len(piece) // 2
                pieces.append((piece[half:], tries, 0))
                pieces.append((piece[:half], tries, 0))
            else:
                pieces.append((piece, tries + 1, waits + 1))

    def finish(self, records):
        self.done.update(self.source.seq(r) for r in records)

    def check_enabled(self):
        live = L._esms.get(self.esm["UUID"])
        if live is None or not live.get("Enabled", True):
            raise Stopped

    def batches(self, records, size):
        """Cut at the batch size, and at what an invocation takes."""
        batch, used = [], 0
        for record in records:
            bytes_ = len(json.dumps(record))
            if batch and (len(batch) == size or used + bytes_ > MAX_PAYLOAD):
                yield batch
                batch, used = [], 0
            batch.append(record)
            used += bytes_
        if batch:
            yield batch

    def fan_out(self, func, records, size, factor):
        """As many batches at once as the parallelization factor says, the records of a key always in one of them."""
        groups = [[] for _ in range(factor)]
        for record in records:
            groups[zlib.crc32(self.source.key(record).encode()) % factor].append(record)

        def run(group):
            L._request_account_id.set(self.account)
            L._request_region.set(self.region)
            for batch in self.batches(group, size):
                self.work(func, batch)

        runs = [_pool.submit(contextvars.copy_context().run, run, group) for group in groups if group]
        errors = [run.exception() for run in runs]
        for error in filter(None, errors):
            raise error

    def step(self, func):
        """Processes what there is to read; false if that is nothing."""
        size = int(self.setting("BatchSize", 100))
        factor = max(1, int(self.setting("ParallelizationFactor", 1)))
        window = float(self.setting("MaximumBatchingWindowInSeconds", 0))
        self.role = (func.get("config") or func).get("Role", "")
        read = self.source.read(self, size * factor)
        if read is None or not read[0]:
            return False
        records, position = read
        if window and len(records) < size * factor and not self.done:
            if time.time() - self.source.at(records[0]) < window and size_of(records) < MAX_PAYLOAD:
                return False
        fresh = [r for r in L._apply_filter_criteria(records, self.esm) if self.source.seq(r) not in self.done]
        self.fan_out(func, fresh, size, factor)
        self.source.advance(self, position + len(records))
        self.done.clear()
        return True

    def loop(self):
        L._request_account_id.set(self.account)
        L._request_region.set(self.region)
        uuid = self.esm["UUID"]
        while True:
            try:
                self.esm = L._esms.get(uuid)
                if self.esm is None:
                    return
                func = L._get_func_record_for_qualifier(self.esm["FunctionName"], self.esm.get("Qualifier"))[0]
                enabled = self.esm.get("Enabled", True)
                if not func or not enabled or not self.step(func):
                    time.sleep(IDLE)
            except Stopped:
                time.sleep(IDLE)
            except Exception as error:
                L.logger.exception("event source mapping %s: %s", uuid, error)
                time.sleep(1)


def size_of(records):
    return sum(len(json.dumps(record)) for record in records)


def spawn(name, source):
    """Starts a lane for each shard that has none. ministack calls this again and again."""
    for account, region, esm in L._iter_all_esms():
        arn = esm.get("EventSourceArn", "")
        if f":{name}:" not in arn:
            continue
        for shard in source.shards(arn):
            key = (esm["UUID"], shard)
            if key not in _lanes or not _lanes[key].is_alive():
                lane = Lane(esm, source, shard, account, region)
                _lanes[key] = threading.Thread(target=contextvars.Context().run, args=(lane.loop,), daemon=True)
                _lanes[key].start()
    return False


L._poll_kinesis = lambda: spawn("kinesis", Kinesis)
L._poll_dynamodb_streams = lambda: spawn("dynamodb", DynamoDb)

if __name__ == "__main__":
    from ministack.app import main

    main()
