#!/usr/bin/env python3
"""Fails if a plan right after an apply changes more than the emulator is known to tell wrongly. usage: drift.py < PLAN.json"""
import json
import sys

# Of an alarm the emulator forgets what is at its default; AWS does not.
KNOWN = {"aws_cloudwatch_metric_alarm"}

changed = [c for c in json.load(sys.stdin).get("resource_changes", []) if set(c["change"]["actions"]) - {"no-op", "read"}]
unknown = [c["address"] for c in changed if c["type"] not in KNOWN]
print(f"drift: {len(changed)} alarms, as the emulator forgets their defaults" if changed else "no drift")
if unknown:
    sys.exit(f"a second plan would change {', '.join(unknown)}")
