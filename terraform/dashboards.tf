# Two dashboards. Series by agent, model and team are searched for when the dashboard is looked at, so that new ones
# need no apply. Everything is by the hour, or over the time that is shown.

locals {
  # A search takes a namespace with other characters in quotes.
  searched = can(regex("^[A-Za-z0-9_/]+$", local.namespace)) ? local.namespace : "\"${local.namespace}\""

  by = { for dimension in ["AgentId", "Model", "TeamId"] : dimension => {
    cost   = "SEARCH('{${local.searched},${dimension}} MetricName=\"TokenCost\"', 'Sum', 3600)"
    tokens = "SEARCH('{${local.searched},${dimension}} MetricName=\"Tokens\"', 'Sum', 3600)"
  } }

  engineer_widgets = [
    {
      title = "Spend of the month so far, in US dollars"
      view  = "singleValue"
      metrics = [
        [local.namespace, "SpendToDate", { stat = "Maximum", label = "known cost" }],
      ]
    },
    {
      title = "Top spenders of the month, in US dollars"
      view  = "bar"
      metrics = [
        [{ expression = "SORT(SEARCH('{${local.searched},AgentId} MetricName=\"SpendToDate\"', 'Maximum', 3600), MAX, DESC, 10)", id = "top", label = "" }],
      ]
    },
    {
      title = "Calls without a price, in percent: their cost is unknown"
      metrics = [
        [{ expression = "IF(events > 0, 100 * unpriced / events, 0)", id = "share", label = "unpriced" }],
        [local.namespace, "Events", { id = "events", stat = "Sum", visible = false }],
        [local.namespace, "Unpriced", { id = "unpriced", stat = "Sum", visible = false }],
      ]
    },
    { title = "Cost by agent, US dollars an hour", stacked = true, metrics = [[{ expression = local.by.AgentId.cost, id = "cost", label = "" }]] },
    { title = "Cost by model, US dollars an hour", stacked = true, metrics = [[{ expression = local.by.Model.cost, id = "cost", label = "" }]] },
    { title = "Cost by team, US dollars an hour", stacked = true, metrics = [[{ expression = local.by.TeamId.cost, id = "cost", label = "" }]] },
    { title = "Tokens by agent, an hour", stacked = true, metrics = [[{ expression = local.by.AgentId.tokens, id = "tokens", label = "" }]] },
    { title = "Tokens by model, an hour", stacked = true, metrics = [[{ expression = local.by.Model.tokens, id = "tokens", label = "" }]] },
    { title = "Tokens by team, an hour", stacked = true, metrics = [[{ expression = local.by.TeamId.tokens, id = "tokens", label = "" }]] },
    {
      title = "Cache hits, in percent of the tokens of prompts"
      metrics = [
        [{ expression = "IF(prompt > 0, 100 * read / prompt, 0)", id = "share", label = "read from a cache" }],
        [local.namespace, "PromptTokens", { id = "prompt", stat = "Sum", visible = false }],
        [local.namespace, "CacheReadTokens", { id = "read", stat = "Sum", visible = false }],
      ]
    },
    {
      title = "Cost of a successful task, in US dollars"
      metrics = [
        [{ expression = "IF(tasks > 0, cost / tasks)", id = "each", label = "cost / successful tasks" }],
        [local.namespace, "TokenCost", { id = "cost", stat = "Sum", visible = false }],
        [local.namespace, "TasksSucceeded", { id = "tasks", stat = "Sum", visible = false }],
      ]
    },
    {
      title   = "Calls, an hour"
      metrics = [[local.namespace, "Events", { stat = "Sum", label = "calls" }]]
    },
  ]

  lambda_gb_second = coalesce(var.prices_usd.lambda_gb_second, var.architecture == "arm64" ? 0.0000133334 : 0.0000166667)

  # What AWS charges, by what it measures; parts that are not there are left out.
  cost_parts = merge(
    {
      api = {
        label      = "API Gateway"
        expression = "FILL(requests, 0) * ${var.prices_usd.api_requests_per_million} / 1000000"
        metrics    = { requests = ["AWS/ApiGateway", "Count", "ApiId", aws_apigatewayv2_api.ingest.id] }
      }
      writes = {
        label      = "DynamoDB writes"
        expression = "(FILL(written, 0) + SUM(SEARCH('{AWS/DynamoDB,GlobalSecondaryIndexName,TableName} MetricName=\"ConsumedWriteCapacityUnits\" TableName=\"${aws_dynamodb_table.ledger.name}\"', 'Sum', 3600))) * ${var.prices_usd.dynamodb_writes_per_million} / 1000000"
        metrics    = { written = ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", aws_dynamodb_table.ledger.name] }
      }
      reads = {
        label      = "DynamoDB reads"
        expression = "FILL(readunits, 0) * ${var.prices_usd.dynamodb_reads_per_million} / 1000000"
        metrics    = { readunits = ["AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName", aws_dynamodb_table.ledger.name] }
      }
    },
    {
      for name in local.functions : name => {
        label      = "Lambda ${name}"
        expression = "FILL(calls_${name}, 0) * ${var.prices_usd.lambda_requests_per_million} / 1000000 + FILL(ms_${name}, 0) / 1000 * ${var.memory_mb[name] / 1024} * ${format("%.10f", local.lambda_gb_second)}"
        metrics = {
          "calls_${name}" = ["AWS/Lambda", "Invocations", "FunctionName", local.function_dimensions[name].FunctionName]
          "ms_${name}"    = ["AWS/Lambda", "Duration", "FunctionName", local.function_dimensions[name].FunctionName]
        }
      }
    },
    {
      for stream in aws_kinesis_stream.events[*].name : "stream" => {
        label = "Kinesis"
        expression = (var.stream_mode == "ON_DEMAND"
          ? "${var.prices_usd.kinesis_stream_hour} + FILL(bytesin, 0) / 1073741824 * ${var.prices_usd.kinesis_gb_in} + FILL(bytesout, 0) / 1073741824 * ${var.prices_usd.kinesis_gb_out}"
        : "${var.shard_count * var.prices_usd.kinesis_shard_hour} + FILL(records, 0) * ${var.prices_usd.kinesis_puts_per_million} / 1000000")
        metrics = {
          bytesin  = ["AWS/Kinesis", "IncomingBytes", "StreamName", stream]
          bytesout = ["AWS/Kinesis", "GetRecords.Bytes", "StreamName", stream]
          records  = ["AWS/Kinesis", "IncomingRecords", "StreamName", stream]
        }
      }
    },
  )

  sre_widgets = concat(
    [
      {
        title = "From receipt to ledger, in milliseconds"
        metrics = [for stat in ["p50", "p90", "p99", "Maximum"] : [local.namespace, "IngestToLedgerLag", { stat = stat, label = stat }]
        ]
        period = 300
      },
      {
        title   = "Age of what is to be read, in milliseconds"
        metrics = [for name in ["aggregator", "alerter"] : ["AWS/Lambda", "IteratorAge", "FunctionName", local.function_dimensions[name].FunctionName, { stat = "Maximum", label = name }]]
        period  = 300
      },
      {
        title   = "What the mappings gave up"
        metrics = [for name, queue in aws_sqs_queue.failures : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.name, { stat = "Maximum", label = name }]]
        period  = 300
      },
      {
        title   = "Errors of functions"
        metrics = [for name in local.functions : ["AWS/Lambda", "Errors", "FunctionName", local.function_dimensions[name].FunctionName, { stat = "Sum", label = name }]]
        period  = 300
      },
      {
        title = "Throttles"
        metrics = concat(
          [for name in local.functions : ["AWS/Lambda", "Throttles", "FunctionName", local.function_dimensions[name].FunctionName, { stat = "Sum", label = name }]],
          [for stream in aws_kinesis_stream.events[*].name : ["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", stream, { stat = "Sum", label = "stream" }]],
          [for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] : ["AWS/DynamoDB", metric, "TableName", aws_dynamodb_table.ledger.name, { stat = "Sum", label = "table, ${lower(trimsuffix(metric, "ThrottleEvents"))}" }]],
        )
        period = 300
      },
      {
        title   = "Duration of functions at p99, in milliseconds"
        metrics = [for name in local.functions : ["AWS/Lambda", "Duration", "FunctionName", local.function_dimensions[name].FunctionName, { stat = "p99", label = name }]]
        period  = 300
      },
      {
        title   = "Requests and refusals of the API"
        metrics = [for metric in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", metric, "ApiId", aws_apigatewayv2_api.ingest.id, { stat = "Sum", label = metric }]]
        period  = 300
      },
      {
        title   = "Rejected, in conflict, again alike, put aside"
        metrics = [for metric in ["Rejected", "Conflicts", "Duplicates", "Quarantined"] : [local.namespace, metric, { stat = "Sum", label = metric }]]
        period  = 300
      },
      {
        title = "Alerts published, and not taken"
        metrics = [
          for pair in setproduct(values(aws_sns_topic.alerts)[*].name, ["NumberOfMessagesPublished", "NumberOfNotificationsFailed"]) :
          ["AWS/SNS", pair[1], "TopicName", pair[0], { stat = "Sum", label = "${pair[0]}, ${pair[1]}" }]
        ]
        period = 300
      },
      {
        title   = "Cost of the pipeline, US dollars an hour (metrics, logs and storage aside)"
        stacked = true
        metrics = concat(
          [for id, part in local.cost_parts : [{ expression = part.expression, id = "cost_${id}", label = part.label }]],
          [for id, metric in merge(values(local.cost_parts)[*].metrics...) : concat(metric, [{ id = id, stat = "Sum", visible = false }])],
        )
      },
    ],
    [for archive in aws_kinesis_firehose_delivery_stream.archive[*].name : {
      title   = "Age of the oldest event that is not in the archive, in seconds"
      metrics = [["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", archive, { stat = "Maximum", label = "archive" }]]
      period  = 300
    }],
  )

  widgets = { engineers = local.engineer_widgets, sres = local.sre_widgets }
}

resource "aws_cloudwatch_dashboard" "this" {
  for_each = local.dashboards ? toset(["engineers", "sres"]) : toset([])

  dashboard_name = "${var.name}-${each.key}"
  dashboard_body = jsonencode({
    widgets = [
      for n, widget in local.widgets[each.key] : {
        type   = "metric"
        x      = n % 3 * 8
        y      = floor(n / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          region  = local.region
          view    = try(widget.view, "timeSeries")
          stacked = try(widget.stacked, false)
          period  = try(widget.period, 3600)
          metrics = widget.metrics
        }
      }
    ]
  })
}
