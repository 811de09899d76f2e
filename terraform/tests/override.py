#!/usr/bin/env python3
"""Prints a provider block that has Terraform call a local AWS. usage: override.py ENDPOINT"""
import sys

SERVICES = (
    "apigateway apigatewayv2 cloudwatch dynamodb firehose iam kinesis kms lambda logs s3 scheduler sns sqs sts"
).split()

print('provider "aws" {\n  access_key = "test"\n  secret_key = "test"\n  skip_credentials_validation = true')
print("  skip_metadata_api_check = true\n  skip_requesting_account_id = true\n  s3_use_path_style = true\n  endpoints {")
for service in SERVICES:
    print(f'    {service} = "{sys.argv[1]}"')
print("  }\n}")
