# Each alarm's description ends with the address of its entry in the runbook; `tests/alarms.tftest.hcl` looks the
# headings up. Silence is normal for most metrics, and so is not alarming, but where it is what the alarm is about.

locals {
  second = 1000

  function_names = { ingest = "ingest", aggregator = "aggregator", alerter = "alerter" }
  function_dimensions = {
    ingest     = { FunctionName = aws_lambda_function.ingest.function_name }
    aggregator = { FunctionName = aws_lambda_function.aggregator.function_name }
    alerter    = { FunctionName = aws_lambda_function.alerter.function_name }
  }
  # Half of what the stream keeps: from here on, events are at risk. The table's stream keeps 24 hours.
  retention_seconds = { aggregator = local.kinesis ? var.stream_retention_hours * 3600 : 86400, alerter = 86400 }

  alarm_defaults = {
    statistic  = null
    percentile = null
    period     = 60
    periods    = 1
    operator   = "GreaterThanThreshold"
    missing    = "notBreaching"
    severity   = "warning"
  }

  stream_alarms = merge(
    {
      for name in ["aggregator", "alerter"] : "${name}-iterator-age" => {
        runbook    = "iterator-age"
        text       = "What the ${name} has yet to read is older than ${var.alarm_thresholds.iterator_age_seconds} s."
        namespace  = "AWS/Lambda"
        metric     = "IteratorAge"
        dimensions = local.function_dimensions[name]
        statistic  = "Maximum"
        threshold  = var.alarm_thresholds.iterator_age_seconds * local.second
        periods    = 5
      }
    },
    {
      for name in ["aggregator", "alerter"] : "${name}-iterator-age-critical" => {
        runbook    = "iterator-age"
        text       = "What the ${name} has yet to read is older than half of what its stream keeps: it will be lost unless the ${name} reads on."
        namespace  = "AWS/Lambda"
        metric     = "IteratorAge"
        dimensions = local.function_dimensions[name]
        statistic  = "Maximum"
        threshold  = local.retention_seconds[name] * local.second / 2
        severity   = "critical"
      }
    },
    {
      for name, queue in aws_sqs_queue.failures : "${name}-failures" => {
        runbook    = "failures"
        text       = "The stream no longer has records that the ${name} did not take; the queue ${queue.name} says where they were."
        namespace  = "AWS/SQS"
        metric     = "ApproximateNumberOfMessagesVisible"
        dimensions = { QueueName = queue.name }
        statistic  = "Maximum"
        threshold  = 0
        severity   = "critical"
      }
    },
  )

  function_alarms = merge(
    {
      for name in local.functions : "${name}-errors" => {
        runbook    = "function-errors"
        text       = "The function ${name} failed more than ${var.alarm_thresholds.errors} times in five minutes."
        namespace  = "AWS/Lambda"
        metric     = "Errors"
        dimensions = local.function_dimensions[name]
        statistic  = "Sum"
        period     = 300
        threshold  = var.alarm_thresholds.errors
      }
    },
    {
      for name in local.functions : "${name}-throttles" => {
        runbook    = "throttles"
        text       = "The function ${name} was throttled more than ${var.alarm_thresholds.throttles} times in five minutes."
        namespace  = "AWS/Lambda"
        metric     = "Throttles"
        dimensions = local.function_dimensions[name]
        statistic  = "Sum"
        period     = 300
        threshold  = var.alarm_thresholds.throttles
      }
    },
    {
      api-5xx = {
        runbook    = "api-5xx"
        text       = "The API answered 5xx more than ${var.alarm_thresholds.api_5xx} times in five minutes: these submissions have no receipt."
        namespace  = "AWS/ApiGateway"
        metric     = "5xx"
        dimensions = { ApiId = aws_apigatewayv2_api.ingest.id }
        statistic  = "Sum"
        period     = 300
        threshold  = var.alarm_thresholds.api_5xx
      }
    },
    {
      for name in aws_kinesis_stream.events[*].name : "stream-throttles" => {
        runbook    = "throttles"
        text       = "The stream ${name} refused records for their rate."
        namespace  = "AWS/Kinesis"
        metric     = "WriteProvisionedThroughputExceeded"
        dimensions = { StreamName = name }
        statistic  = "Sum"
        period     = 300
        threshold  = var.alarm_thresholds.throttles
      }
    },
    {
      for write in ["ReadThrottleEvents", "WriteThrottleEvents"] : "table-${lower(trimsuffix(write, "ThrottleEvents"))}-throttles" => {
        runbook    = "throttles"
        text       = "The table ${aws_dynamodb_table.ledger.name} was asked for more than it gave at once."
        namespace  = "AWS/DynamoDB"
        metric     = write
        dimensions = { TableName = aws_dynamodb_table.ledger.name }
        statistic  = "Sum"
        period     = 300
        threshold  = var.alarm_thresholds.throttles
      }
    },
  )

  ledger_alarms = {
    ledger-lag = {
      runbook    = "ledger-lag"
      text       = "One event in a hundred is counted later than ${var.alarm_thresholds.ledger_lag_seconds} s after its receipt."
      namespace  = local.namespace
      metric     = "IngestToLedgerLag"
      dimensions = {}
      percentile = "p99"
      threshold  = var.alarm_thresholds.ledger_lag_seconds * local.second
      periods    = 5
    }
    rejected = {
      runbook    = "rejected"
      text       = "More than ${var.alarm_thresholds.rejected} submissions were refused in five minutes."
      namespace  = local.namespace
      metric     = "Rejected"
      dimensions = {}
      statistic  = "Sum"
      period     = 300
      threshold  = var.alarm_thresholds.rejected
    }
    conflicts = {
      runbook    = "conflicts"
      text       = "More than ${var.alarm_thresholds.conflicts} events came again with other content in five minutes."
      namespace  = local.namespace
      metric     = "Conflicts"
      dimensions = {}
      statistic  = "Sum"
      period     = 300
      threshold  = var.alarm_thresholds.conflicts
    }
    quarantined = {
      runbook    = "quarantined"
      text       = "Something could not be counted and was put aside."
      namespace  = local.namespace
      metric     = "Quarantined"
      dimensions = {}
      statistic  = "Sum"
      period     = 300
      threshold  = 0
      severity   = "critical"
    }
  }

  delivery_alarms = merge(
    {
      for key, topic in aws_sns_topic.alerts : "${key == "alerts" ? "" : "${key}-"}alert-delivery" => {
        runbook    = "alert-delivery"
        text       = "A subscriber of the topic ${topic.name} did not take an alert."
        namespace  = "AWS/SNS"
        metric     = "NumberOfNotificationsFailed"
        dimensions = { TopicName = topic.name }
        statistic  = "Sum"
        period     = 300
        threshold  = 0
      }
    },
    {
      for archive in aws_kinesis_firehose_delivery_stream.archive[*].name : "archive-delay" => {
        runbook    = "archive-delay"
        text       = "The oldest event that is not in the archive is older than ${var.alarm_thresholds.archive_delay_seconds} s."
        namespace  = "AWS/Firehose"
        metric     = "DeliveryToS3.DataFreshness"
        dimensions = { DeliveryStreamName = archive }
        statistic  = "Maximum"
        period     = 300
        threshold  = var.alarm_thresholds.archive_delay_seconds
      }
    },
  )

  silence_alarms = {
    for agent in var.watched_agents : "silence-${agent}" => {
      runbook    = "silence"
      text       = "The agent ${agent}, which usually talks, has sent nothing for ${var.silence_hours} h."
      namespace  = local.namespace
      metric     = "Events"
      dimensions = { AgentId = agent }
      statistic  = "Sum"
      period     = 3600
      periods    = var.silence_hours
      operator   = "LessThanThreshold"
      threshold  = 1
      # No metric at all is the silence.
      missing = "breaching"
    }
  }

  alarm_sets = [local.stream_alarms, local.function_alarms, local.ledger_alarms, local.delivery_alarms, local.silence_alarms]
  # Each by itself is merged with the defaults: their members differ.
  metric_alarms = { for alarm in flatten([
    for set in local.alarm_sets : [for name, alarm in set : merge(local.alarm_defaults, alarm, { name = name })]
  ]) : alarm.name => alarm if local.alarms }

  alarm_actions = {
    for severity in ["warning", "critical"] : severity => concat([local.topic_arns[severity]], var.alarm_action_arns)
  }
}

resource "aws_cloudwatch_metric_alarm" "metric" {
  for_each = local.metric_alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.text} Runbook: ${var.runbook}#alarm-${each.value.runbook}"

  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  extended_statistic  = each.value.percentile
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing

  alarm_actions = local.alarm_actions[each.value.severity]
  ok_actions    = local.alarm_actions[each.value.severity]

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "expression" {
  for_each = local.alarms ? { unpriced-share = "unpriced-share" } : {}

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "More than ${var.alarm_thresholds.unpriced_percent}% of an hour's calls have no price: their cost is unknown. Runbook: ${var.runbook}#alarm-${each.value}"

  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarm_thresholds.unpriced_percent
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "share"
    label       = "UnpricedShare, in percent"
    expression  = "IF(events > 0, 100 * unpriced / events, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { events = "Events", unpriced = "Unpriced" }
    content {
      id = metric_query.key
      metric {
        namespace   = local.namespace
        metric_name = metric_query.value
        stat        = "Sum"
        period      = 3600
      }
    }
  }

  alarm_actions = local.alarm_actions.warning
  ok_actions    = local.alarm_actions.warning

  tags = var.tags
}
