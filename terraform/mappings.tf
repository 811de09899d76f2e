# What the functions assume of how they are invoked. A batch that fails is cut in two until the record that fails
# is alone, and is tried until the stream no longer has it: the aggregator quarantines what can never be counted,
# so whatever else fails is worth waiting for. The queues get positions without data: they are for alarms.

locals {
  aggregator_source = local.kinesis ? aws_kinesis_stream.events[0].arn : aws_dynamodb_table.ledger.stream_arn

  # Only what is new in the inbox. Its expiry is a REMOVE, the rest of the table is the aggregator's own doing.
  inbox_filter = jsonencode({
    eventName = ["INSERT"]
    dynamodb  = { Keys = { pk = { S = [{ prefix = "I#" }] } } }
  })

  # Hourly totals of single dimensions, and budgets: everything that a decision can hang on.
  decision_filter = jsonencode({
    eventName = ["INSERT", "MODIFY"]
    dynamodb  = { Keys = { pk = { S = [{ prefix = "R#H#" }, { prefix = "B#" }] } } }
  })
}

resource "aws_lambda_event_source_mapping" "aggregator" {
  event_source_arn = local.aggregator_source
  function_name    = aws_lambda_function.aggregator.arn

  # LATEST would begin some time after the mapping is made, and skip what came before.
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.aggregator_batching.batch_size
  maximum_batching_window_in_seconds = var.aggregator_batching.window_seconds
  parallelization_factor             = var.aggregator_batching.parallelization
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = -1
  maximum_record_age_in_seconds      = -1

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.failures["aggregator"].arn
    }
  }

  dynamic "filter_criteria" {
    for_each = local.direct ? [local.inbox_filter] : []
    content {
      filter {
        pattern = filter_criteria.value
      }
    }
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "alerter" {
  event_source_arn = aws_dynamodb_table.ledger.stream_arn
  function_name    = aws_lambda_function.alerter.arn

  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.alerter_batching.batch_size
  maximum_batching_window_in_seconds = var.alerter_batching.window_seconds
  parallelization_factor             = var.alerter_batching.parallelization
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = -1
  maximum_record_age_in_seconds      = -1

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.failures["alerter"].arn
    }
  }

  filter_criteria {
    filter {
      pattern = local.decision_filter
    }
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function]
}
