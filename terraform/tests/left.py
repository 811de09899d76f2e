#!/usr/bin/env python3
"""Fails if anything of a deployment is left. usage: left.py ENDPOINT"""
import sys

import boto3

LISTS = [
    ("dynamodb", "list_tables", "TableNames"),
    ("kinesis", "list_streams", "StreamNames"),
    ("lambda", "list_functions", "Functions"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings"),
    ("sns", "list_topics", "Topics"),
    ("sqs", "list_queues", "QueueUrls"),
    ("apigatewayv2", "get_apis", "Items"),
    ("iam", "list_roles", "Roles"),
    ("logs", "describe_log_groups", "logGroups"),
    ("cloudwatch", "describe_alarms", "MetricAlarms"),
    ("cloudwatch", "list_dashboards", "DashboardEntries"),
    ("scheduler", "list_schedules", "Schedules"),
    ("s3", "list_buckets", "Buckets"),
]
left = {}
for service, call, key in LISTS:
    client = boto3.client(
        service, endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    found = [str(item) for item in getattr(client, call)().get(key, [])]
    # What the test itself made, and what every account has.
    found = [item for item in found if "agentledger" in item.lower() and "e2e-alerts" not in item]
    if found:
        left[f"{service} {call}"] = found
print(f"{len(LISTS)} lists looked at: nothing is left" if not left else left)
sys.exit(bool(left))
