locals {
  table_arn = aws_dynamodb_table.ledger.arn
  indexes   = [for name in ["by_time", "unmet"] : "${aws_dynamodb_table.ledger.arn}/index/${name}"]

  read_table = {
    Sid      = "ReadLedger"
    Effect   = "Allow"
    Action   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
    Resource = concat([local.table_arn], local.indexes)
  }
  write_table = {
    Sid    = "WriteLedger"
    Effect = "Allow"
    # A transaction needs what its parts need.
    Action   = ["dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    Resource = [local.table_arn]
  }
  read_changes = {
    Sid      = "ReadChanges"
    Effect   = "Allow"
    Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
    Resource = [aws_dynamodb_table.ledger.stream_arn]
  }

  statements = {
    ingest = concat(
      # Revocations, and from when periods are open.
      [merge(local.read_table, { Resource = [local.table_arn] })],
      # The description is asked for when an instance starts, so that its connection is open for the first request.
      [for arn in aws_kinesis_stream.events[*].arn : {
        Sid      = "PutEvents"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStreamSummary", "kinesis:PutRecords"]
        Resource = [arn]
      }],
      [for arn in local.direct ? [local.table_arn] : [] : {
        Sid      = "PutInbox"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchWriteItem", "dynamodb:PutItem"]
        Resource = [arn]
        # Into the inbox and nowhere else.
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["I#*"] } }
      }],
    )
    aggregator = concat(
      [local.read_table, local.write_table],
      [for arn in aws_kinesis_stream.events[*].arn : {
        Sid      = "ReadEvents"
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
        Resource = [arn]
      }],
      [for statement in [local.read_changes] : statement if local.direct],
      [{
        Sid    = "PutMetrics"
        Effect = "Allow"
        Action = ["cloudwatch:PutMetricData"]
        # Metrics have no ARN: the namespace is what bounds it.
        Resource  = ["*"]
        Condition = { StringEquals = { "cloudwatch:namespace" = local.namespace } }
      }],
    )
    alerter = [
      local.read_table, local.write_table, local.read_changes,
      {
        Sid      = "PublishAlerts"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = concat(values(aws_sns_topic.alerts)[*].arn, aws_sns_topic.chat[*].arn)
      },
    ]
  }

  # What a function does with a key of one's own: read, write, or both, and only through the service that holds the data.
  key_uses = {
    ingest = {
      table  = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
      stream = ["kms:GenerateDataKey"]
    }
    aggregator = {
      table  = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
      stream = ["kms:Decrypt"]
      queues = ["kms:Decrypt", "kms:GenerateDataKey"]
    }
    alerter = {
      table  = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
      topics = ["kms:Decrypt", "kms:GenerateDataKey"]
      queues = ["kms:Decrypt", "kms:GenerateDataKey"]
    }
  }
  key_services = { table = "dynamodb", stream = "kinesis", topics = "sns", queues = "sqs" }
  key_statements = {
    for name, uses in local.key_uses : name => [
      for what, actions in uses : {
        Sid       = "Key${title(what)}"
        Effect    = "Allow"
        Action    = actions
        Resource  = [var.kms_key_arns[what]]
        Condition = { StringEquals = { "kms:ViaService" = "${local.key_services[what]}.${local.region}.amazonaws.com" } }
      } if var.kms_key_arns[what] != null
    ]
  }

  common_statements = {
    for name in local.functions : name => concat(
      [{
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.function[name].arn}:*"]
      }],
      [for queue in contains(keys(aws_sqs_queue.failures), name) ? [aws_sqs_queue.failures[name].arn] : [] : {
        Sid      = "TellFailures"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [queue]
      }],
      [for tracing in var.tracing ? [true] : [] : {
        Sid    = "Trace"
        Effect = "Allow"
        Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        # Traces have no ARN.
        Resource = ["*"]
      }],
    )
  }

  policies = {
    for name in local.functions : name => jsonencode({
      Version   = "2012-10-17"
      Statement = concat(local.common_statements[name], local.statements[name], local.key_statements[name])
    })
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name                 = "${local.role_prefix}-${each.key}"
  description          = "AgentLedger: the function ${each.key}"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "use"
  role   = aws_iam_role.function[each.key].id
  policy = local.policies[each.key]
}

resource "aws_iam_role" "schedule" {
  count = local.sweep == null ? 0 : 1

  name                 = "${local.role_prefix}-sweep"
  description          = "AgentLedger: the schedule that invokes the alerter"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "schedule" {
  count = local.sweep == null ? 0 : 1

  name = "use"
  role = aws_iam_role.schedule[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Sweep"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [aws_lambda_function.alerter.arn]
    }]
  })
}
