#!/usr/bin/env python3
"""The function that the conformance test is about: a bootstrap that does what its records say, and notes what it got.

A record's text is JSON: "n" names it, and "do" says what happens, "times" times (always without it): "throw" (an error
of the function), "crash" (the process ends), "sleep" (for "seconds"), "report" (a batch item failure), or "answer"
(the response is "with", as it is; {seq} stands for the record's number). The notes are lines of a file.
"""
import base64
import json
import os
import time
import urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"
NOTES = os.environ["NOTES"]


def call(path, body=None):
    request = urllib.request.Request(f"{API}/{path}", data=body)
    with urllib.request.urlopen(request) as response:
        return response.headers, response.read()


def read(record):
    """The number of a record and its text."""
    if "kinesis" in record:
        return record["kinesis"]["sequenceNumber"], json.loads(base64.b64decode(record["kinesis"]["data"]))
    change = record["dynamodb"]
    image = change.get("NewImage", change["Keys"])
    return change["SequenceNumber"], json.loads(image["text"]["S"])


def seen_before(n):
    if not os.path.exists(NOTES):
        return 0
    with open(NOTES) as notes:
        return sum(line.startswith("[") and n in json.loads(line)[2] for line in notes)


def handle(event):
    began = time.time()
    records = [read(record) for record in event["Records"]]
    names = [text["n"] for _, text in records]
    # Looked up before this invocation is noted.
    due = [(seq, t) for seq, t in records if "do" in t and ("times" not in t or seen_before(t["n"]) < t["times"])]
    slept = sum(t["seconds"] for _, t in due if t["do"] == "sleep")
    with open(NOTES, "a") as notes:
        notes.write(json.dumps([began, began + slept, names, [seq for seq, _ in records]]) + "\n")
    time.sleep(slept)
    failures, answer = [], None
    for seq, text in due:
        if text["do"] == "crash":
            os._exit(1)
        if text["do"] == "throw":
            raise RuntimeError(f"told to by {text['n']}")
        if text["do"] == "report":
            failures.append({"itemIdentifier": seq})
        if text["do"] == "answer":
            answer = text["with"].replace("{seq}", seq)
    # The highest first: which one counts is for the poller to find.
    return answer or json.dumps({"batchItemFailures": failures[::-1]})


while True:
    headers, body = call("invocation/next")
    id_ = headers["Lambda-Runtime-Aws-Request-Id"]
    try:
        response = handle(json.loads(body))
    except Exception as error:
        call(f"invocation/{id_}/error", json.dumps({"errorType": "Told", "errorMessage": str(error)}).encode())
    else:
        call(f"invocation/{id_}/response", response.encode())
