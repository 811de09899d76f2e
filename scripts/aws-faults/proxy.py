#!/usr/bin/env python3
"""A proxy that has a part of the calls to DynamoDB and SNS fail: throttled, refused by a fault of the service before or
after it acted, or left without an answer after it acted. usage: proxy.py PORT UPSTREAM_PORT SHARE_FILE SEED

SHARE_FILE holds the share of calls that fail, in percent, and is read at each call. Prints what it did when it ends."""
import asyncio
import collections
import random
import signal
import sys

PORT, UPSTREAM, SHARE_FILE, SEED = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
chance = random.Random(SEED)
counts = collections.Counter()
# The loop itself holds its tasks weakly.
serving = set()
JSON = "application/x-amz-json-1.0"


async def read_message(reader):
    """One HTTP message: its head and its body; None at the end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    fields = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
    body = b""
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            chunk = await reader.readexactly(size + 2)
            body += line + chunk
            if size == 0:
                break
    elif b"content-length" in fields:
        body = await reader.readexactly(int(fields[b"content-length"]))
    return head, fields, body


def failure(fields, code, status):
    """An error as the service would answer it."""
    if fields.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>injected</Message></Error></ErrorResponse>"
        kind = "text/xml"
    else:
        body, kind = f'{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"injected"}}', JSON
    return (
        f"HTTP/1.1 {status} Injected\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )


async def serve(reader, writer):
    upstream_reader = upstream_writer = None
    serving.add(asyncio.current_task())
    try:
        while message := await read_message(reader):
            head, fields, body = message
            with open(SHARE_FILE) as file:
                share = float(file.read() or 0)
            target = fields.get(b"x-amz-target", b"SNS").decode().split(".")[-1]
            fault = None
            if chance.uniform(0, 100) < share:
                fault = chance.choice(["throttled", "throttled", "fault before", "fault after", "no answer"])
            # What comes before and after the faults is not looked at.
            if share:
                counts[target, fault or "passed"] += 1
            if fault == "throttled":
                code = "Throttling" if target == "SNS" else "ProvisionedThroughputExceededException"
                writer.write(failure(fields, code, 400))
            elif fault == "fault before":
                writer.write(failure(fields, "InternalServerError", 500))
            else:
                if upstream_writer is None:
                    upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", UPSTREAM)
                upstream_writer.write(head + body)
                await upstream_writer.drain()
                answer = await read_message(upstream_reader)
                if answer is None or fault == "no answer":
                    return
                writer.write(failure(fields, "InternalServerError", 500) if fault else answer[0] + answer[2])
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        serving.discard(asyncio.current_task())
        for each in (writer, upstream_writer):
            if each is not None:
                each.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, limit=1 << 25)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()
    total, failed = sum(counts.values()), sum(n for (_, fault), n in counts.items() if fault != "passed")
    print(f"calls while some of them failed: {total}, of which {failed} failed ({100 * failed / max(total, 1):.1f}%)")
    by_fault = collections.Counter()
    for (_, fault), n in counts.items():
        by_fault[fault] += n
    print("  " + ", ".join(f"{fault} {n}" for fault, n in sorted(by_fault.items())))


asyncio.run(main())
