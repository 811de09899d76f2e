# What the roles may do: no action and, where there are ARNs, no resource is `*`.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages              = { ingest = "s3://packages/ingest.zip", aggregator = "s3://packages/aggregator.zip", alerter = "s3://packages/alerter.zip" }
  authentication        = "none"
  allow_unauthenticated = true
}

run "kinesis" {
  variables {
    archive = { enabled = true }
    tracing = true
    chat    = { enabled = true }
    kms_key_arns = {
      table   = "arn:aws:kms:eu-central-1:123456789012:key/table"
      stream  = "arn:aws:kms:eu-central-1:123456789012:key/stream"
      topics  = "arn:aws:kms:eu-central-1:123456789012:key/topics"
      queues  = "arn:aws:kms:eu-central-1:123456789012:key/queues"
      archive = "arn:aws:kms:eu-central-1:123456789012:key/archive"
    }
  }

  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.function)[*].policy, aws_iam_role_policy.schedule[*].policy, aws_iam_role_policy.archive[*].policy) : [
        for statement in jsondecode(policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
      ]
    ]))
    error_message = "no action has a *"
  }
  assert {
    condition = toset(flatten([
      for policy in concat(values(aws_iam_role_policy.function)[*].policy, aws_iam_role_policy.schedule[*].policy, aws_iam_role_policy.archive[*].policy) : [
        for statement in jsondecode(policy).Statement : statement.Action if contains(statement.Resource, "*")
      ]
    ])) == toset(["cloudwatch:PutMetricData", "xray:PutTelemetryRecords", "xray:PutTraceSegments"])
    error_message = "only metrics and traces, which have no ARN, are for *"
  }
  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.function["aggregator"].policy).Statement : s.Condition if s.Sid == "PutMetrics"]) == { StringEquals = { "cloudwatch:namespace" = "AgentLedger" } }
    error_message = "and metrics are bounded by their namespace"
  }
  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.function["ingest"].policy).Statement : s.Action])) == toset([
      "logs:CreateLogStream", "logs:PutLogEvents", "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "kinesis:DescribeStreamSummary", "kinesis:PutRecords",
      "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
    ])
    error_message = "ingest reads the ledger and writes the stream"
  }
  assert {
    condition     = toset([for s in jsondecode(aws_iam_role_policy.function["aggregator"].policy).Statement : s.Sid]) == toset(["WriteLogs", "TellFailures", "Trace", "ReadLedger", "WriteLedger", "ReadEvents", "PutMetrics", "KeyTable", "KeyStream", "KeyQueues"])
    error_message = "the aggregator publishes nothing but metrics"
  }
  assert {
    condition     = toset([for s in jsondecode(aws_iam_role_policy.function["alerter"].policy).Statement : s.Sid]) == toset(["WriteLogs", "TellFailures", "Trace", "ReadLedger", "WriteLedger", "ReadChanges", "PublishAlerts", "KeyTable", "KeyTopics", "KeyQueues"])
    error_message = "the alerter does not read the stream"
  }
  assert {
    condition     = alltrue([for s in flatten([for p in aws_iam_role_policy.function : jsondecode(p.policy).Statement]) : can(s.Condition.StringEquals["kms:ViaService"]) if startswith(s.Sid, "Key")])
    error_message = "keys are used through the services only"
  }
}

run "direct" {
  variables {
    profile = "direct"
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.function["ingest"].policy).Statement : s if s.Sid == "PutInbox"]) == {
      Sid      = "PutInbox", Effect = "Allow", Action = ["dynamodb:BatchWriteItem", "dynamodb:PutItem"]
      Resource = ["arn:aws:dynamodb:eu-central-1:123456789012:table/AgentLedger"], Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["I#*"] } }
    }
    error_message = "ingest writes into the inbox and nowhere else"
  }
  assert {
    condition     = alltrue([for s in flatten([for p in aws_iam_role_policy.function : jsondecode(p.policy).Statement]) : !anytrue([for a in s.Action : startswith(a, "kinesis:")])])
    error_message = "nobody has to do with Kinesis"
  }
  assert {
    condition     = contains([for s in jsondecode(aws_iam_role_policy.function["aggregator"].policy).Statement : s.Sid], "ReadChanges")
    error_message = "the aggregator reads the table's stream"
  }
}

run "a_boundary_bounds_every_role" {
  variables {
    archive                  = { enabled = true }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.function), aws_iam_role.schedule, aws_iam_role.archive) : role.permissions_boundary == var.permissions_boundary_arn])
    error_message = "no role is without"
  }
}
