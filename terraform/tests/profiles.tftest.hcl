# What each profile holds, and the settings that the functions assume.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages = {
    ingest     = "s3://packages/ingest.zip?versionId=1"
    aggregator = "s3://packages/aggregator.zip"
    alerter    = "s3://packages/alerter.zip"
  }
  authentication        = "none"
  allow_unauthenticated = true
}

run "kinesis_is_the_default" {
  assert {
    condition     = length(aws_kinesis_stream.events) == 1 && aws_kinesis_stream.events[0].stream_mode_details[0].stream_mode == "ON_DEMAND"
    error_message = "by default there is a stream on demand"
  }
  assert {
    condition     = aws_kinesis_stream.events[0].encryption_type == "KMS" && aws_kinesis_stream.events[0].retention_period == 24
    error_message = "the stream is encrypted, and keeps a day"
  }
  assert {
    condition     = aws_dynamodb_table.ledger.stream_view_type == "KEYS_ONLY"
    error_message = "the table's stream holds keys only"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.aggregator.event_source_arn == aws_kinesis_stream.events[0].arn
    error_message = "the aggregator reads the stream"
  }
  assert {
    condition     = length(aws_lambda_event_source_mapping.aggregator.filter_criteria) == 0
    error_message = "the aggregator gets every record of the stream"
  }
  assert {
    condition     = aws_lambda_function.ingest.environment[0].variables.AGENTLEDGER_STREAM == "AgentLedger"
    error_message = "ingest is told the stream"
  }
  assert {
    condition     = length(aws_scheduler_schedule.sweep) == 1 && aws_scheduler_schedule.sweep[0].schedule_expression == "rate(1 minute)"
    error_message = "budgets are swept each minute"
  }
  assert {
    condition     = aws_lambda_function.aggregator.environment[0].variables.AGENTLEDGER_SETTLE_SECONDS == "2" && aws_lambda_function.aggregator.environment[0].variables.AGENTLEDGER_BATCH_RECORDS == "1000" && aws_lambda_function.alerter.environment[0].variables.AGENTLEDGER_SETTLE_SECONDS == "2"
    error_message = "full batches leave it to the next to write totals, for the mapping's window"
  }
  assert {
    condition     = length(aws_cloudwatch_dashboard.this) == 2 && length(aws_cloudwatch_metric_alarm.metric) > 15
    error_message = "there are dashboards and alarms"
  }
  assert {
    condition     = length(aws_s3_bucket.archive) == 0 && length(aws_sns_topic.chat) == 0
    error_message = "archive and chat are asked for"
  }
}

run "direct_has_no_stream_and_nothing_that_costs_when_idle" {
  variables {
    profile = "direct"
    budgets = [{ name = "all", scope = "org", limit_usd = "10", period = "day" }]
  }

  assert {
    condition     = length(aws_kinesis_stream.events) == 0 && output.stream_name == null
    error_message = "there is no stream"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.metric) + length(aws_cloudwatch_metric_alarm.expression) + length(aws_cloudwatch_dashboard.this) == 0
    error_message = "alarms and dashboards are off"
  }
  assert {
    condition     = length(aws_scheduler_schedule.sweep) == 0 && length(aws_iam_role.schedule) == 0
    error_message = "nothing is invoked by the clock"
  }
  assert {
    condition     = length(aws_lambda_invocation.budgets) == 1
    error_message = "budgets are set when they are applied"
  }
  assert {
    condition     = aws_dynamodb_table.ledger.stream_view_type == "NEW_IMAGE" && aws_dynamodb_table.ledger.billing_mode == "PAY_PER_REQUEST"
    error_message = "the table's stream holds the inbox, and the table is on demand"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.aggregator.event_source_arn == aws_dynamodb_table.ledger.stream_arn
    error_message = "the aggregator reads the table's stream"
  }
  assert {
    condition = jsondecode(one(one(aws_lambda_event_source_mapping.aggregator.filter_criteria).filter).pattern) == {
      eventName = ["INSERT"], dynamodb = { Keys = { pk = { S = [{ prefix = "I#" }] } } }
    }
    error_message = "the aggregator is invoked for new items of the inbox only"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.ingest.environment[0].variables), "AGENTLEDGER_STREAM")
    error_message = "ingest is told of no stream"
  }
  assert {
    condition     = !anytrue([for name in ["AGENTLEDGER_SETTLE_SECONDS", "AGENTLEDGER_BATCH_RECORDS"] : contains(keys(aws_lambda_function.aggregator.environment[0].variables), name)])
    error_message = "each batch writes its totals, as nothing would make up for it"
  }
  assert {
    condition     = aws_dynamodb_table.ledger.server_side_encryption[0].enabled == false
    error_message = "no key of one's own"
  }
}

run "direct_with_what_was_asked_for" {
  variables {
    profile            = "direct"
    alarms_enabled     = true
    dashboards_enabled = true
    sweep_schedule     = "rate(1 hour)"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.metric) > 15 && length(aws_cloudwatch_dashboard.this) == 2 && aws_scheduler_schedule.sweep[0].schedule_expression == "rate(1 hour)"
    error_message = "alarms, dashboards and the sweep can be turned on"
  }
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.metric), "stream-throttles")
    error_message = "what is not there has no alarm"
  }
}

run "totals_are_not_put_off_where_the_sweep_is_rare" {
  variables {
    sweep_schedule = "rate(5 minutes)"
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.aggregator.environment[0].variables), "AGENTLEDGER_SETTLE_SECONDS") && !contains(keys(aws_lambda_function.alerter.environment[0].variables), "AGENTLEDGER_SETTLE_SECONDS")
    error_message = "each batch writes its totals"
  }
}

run "provisioned" {
  variables {
    stream_mode            = "PROVISIONED"
    shard_count            = 6
    stream_retention_hours = 168
  }

  assert {
    condition     = aws_kinesis_stream.events[0].shard_count == 6 && aws_kinesis_stream.events[0].retention_period == 168
    error_message = "shards and retention are as they were asked for"
  }
  assert {
    condition     = aws_lambda_function.ingest.environment[0].variables.AGENTLEDGER_LANES == "6"
    error_message = "each shard has a lane"
  }
  assert {
    condition     = alltrue([for f in [aws_lambda_function.ingest, aws_lambda_function.aggregator, aws_lambda_function.alerter] : f.environment[0].variables.AGENTLEDGER_REPLAY_HOURS == "168"])
    error_message = "the functions know how far back a replay reaches"
  }
}

run "what_the_functions_assume_of_their_mappings" {
  assert {
    condition = alltrue([
      for m in [aws_lambda_event_source_mapping.aggregator, aws_lambda_event_source_mapping.alerter] :
      m.function_response_types == toset(["ReportBatchItemFailures"]) && m.bisect_batch_on_function_error
      && m.maximum_retry_attempts == -1 && m.maximum_record_age_in_seconds == -1 && m.starting_position == "TRIM_HORIZON"
      && length(m.destination_config[0].on_failure) == 1
    ])
    error_message = "partial failures, bisecting, retries until expiry, from the beginning, and a queue for what was given up"
  }
  assert {
    condition     = aws_lambda_event_source_mapping.aggregator.batch_size == 1000 && aws_lambda_event_source_mapping.aggregator.maximum_batching_window_in_seconds == 2 && aws_lambda_event_source_mapping.aggregator.parallelization_factor == 1
    error_message = "batches of 1,000, gathered for 2 s, one at a time"
  }
  assert {
    condition = jsondecode(one(one(aws_lambda_event_source_mapping.alerter.filter_criteria).filter).pattern) == {
      eventName = ["INSERT", "MODIFY"], dynamodb = { Keys = { pk = { S = [{ prefix = "R#H#" }, { prefix = "B#" }] } } }
    }
    error_message = "the alerter is invoked for hourly totals and budgets only"
  }
}

run "the_table" {
  assert {
    condition     = aws_dynamodb_table.ledger.name == "AgentLedger" && aws_dynamodb_table.ledger.hash_key == "pk" && aws_dynamodb_table.ledger.range_key == "sk"
    error_message = "name and keys are the contract's"
  }
  assert {
    condition     = { for i in aws_dynamodb_table.ledger.global_secondary_index : i.name => "${i.hash_key},${i.range_key},${i.projection_type}" } == { by_time = "tpk,tsk,KEYS_ONLY", unmet = "upk,usk,KEYS_ONLY" }
    error_message = "there are two indexes, of keys only"
  }
  assert {
    condition     = aws_dynamodb_table.ledger.ttl[0].attribute_name == "ttl" && aws_dynamodb_table.ledger.ttl[0].enabled
    error_message = "what expires has `ttl`"
  }
  assert {
    condition     = aws_dynamodb_table.ledger.point_in_time_recovery[0].enabled && aws_dynamodb_table.ledger.deletion_protection_enabled
    error_message = "it can be restored, and not be deleted by mistake"
  }
}

run "functions" {
  assert {
    condition = alltrue([
      for f in [aws_lambda_function.ingest, aws_lambda_function.aggregator, aws_lambda_function.alerter] :
      f.runtime == "provided.al2023" && f.architectures == tolist(["arm64"]) && f.logging_config[0].log_format == "JSON"
    ])
    error_message = "bootstraps for AL2023 on arm64, logging JSON"
  }
  assert {
    condition     = aws_lambda_function.ingest.s3_bucket == "packages" && aws_lambda_function.ingest.s3_key == "ingest.zip" && aws_lambda_function.ingest.s3_object_version == "1" && aws_lambda_function.alerter.s3_object_version == null
    error_message = "packages are taken from S3, by their version"
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.retention_in_days == 30])
    error_message = "logs end"
  }
}

run "packages_of_this_machine" {
  variables {
    packages = { ingest = "versions.tf", aggregator = "main.tf", alerter = "iam.tf" }
  }

  assert {
    condition     = aws_lambda_function.ingest.filename == "versions.tf" && aws_lambda_function.ingest.source_code_hash == filebase64sha256("versions.tf") && aws_lambda_function.ingest.s3_bucket == null
    error_message = "a file is uploaded when its content changes"
  }
}

run "archive" {
  variables {
    archive = { enabled = true, expire_days = 400 }
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.archive[0].kinesis_source_configuration[0].kinesis_stream_arn == aws_kinesis_stream.events[0].arn
    error_message = "the archive is a copy of the stream"
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.archive[0].block_public_acls && aws_s3_bucket_public_access_block.archive[0].block_public_policy && aws_s3_bucket_public_access_block.archive[0].ignore_public_acls && aws_s3_bucket_public_access_block.archive[0].restrict_public_buckets
    error_message = "nobody else reads it"
  }
  assert {
    condition     = aws_s3_bucket_versioning.archive[0].versioning_configuration[0].status == "Enabled" && one(aws_s3_bucket_lifecycle_configuration.archive[0].rule[0].expiration).days == 400
    error_message = "it keeps versions, and ends when it was asked to"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.metric), "archive-delay")
    error_message = "its delay is an alarm"
  }
}

run "own_keys" {
  variables {
    archive = { enabled = true }
    kms_key_arns = {
      table   = "arn:aws:kms:eu-central-1:123456789012:key/table"
      stream  = "arn:aws:kms:eu-central-1:123456789012:key/stream"
      topics  = "arn:aws:kms:eu-central-1:123456789012:key/topics"
      queues  = "arn:aws:kms:eu-central-1:123456789012:key/queues"
      logs    = "arn:aws:kms:eu-central-1:123456789012:key/logs"
      archive = "arn:aws:kms:eu-central-1:123456789012:key/archive"
    }
  }

  assert {
    condition = (
      aws_dynamodb_table.ledger.server_side_encryption[0].kms_key_arn == var.kms_key_arns.table
      && aws_kinesis_stream.events[0].kms_key_id == var.kms_key_arns.stream
      && alltrue([for topic in aws_sns_topic.alerts : topic.kms_master_key_id == var.kms_key_arns.topics])
      && alltrue([for queue in aws_sqs_queue.failures : queue.kms_master_key_id == var.kms_key_arns.queues])
      && alltrue([for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.kms_key_arns.logs])
      && one(aws_s3_bucket_server_side_encryption_configuration.archive[0].rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arns.archive
    )
    error_message = "each kind of data is under the key that was given for it"
  }
}

run "a_restored_table" {
  variables {
    table_name = "AgentLedger-2"
  }

  assert {
    condition     = output.table_name == "AgentLedger-2" && aws_lambda_function.aggregator.environment[0].variables.AGENTLEDGER_TABLE == "AgentLedger-2" && output.stream_name == "AgentLedger"
    error_message = "the table can have another name than the rest"
  }
}

run "outputs" {
  assert {
    condition     = output.table_name == "AgentLedger" && output.stream_name == "AgentLedger" && output.metrics_namespace == "AgentLedger"
    error_message = "table, stream and namespace default to AgentLedger"
  }
  assert {
    condition     = output.ingest_url == aws_apigatewayv2_api.ingest.api_endpoint && output.alert_topic_arn == aws_sns_topic.alerts["critical"].arn
    error_message = "the API's address, and the topic of limits that are reached"
  }
  assert {
    condition     = output.dashboard_names == ["AgentLedger-engineers", "AgentLedger-sres"]
    error_message = "both dashboards are named"
  }
  assert {
    condition     = keys(output.function_names) == ["aggregator", "alerter", "ingest"] && keys(output.failure_queue_urls) == ["aggregator", "alerter"] && keys(output.mapping_ids) == ["aggregator", "alerter"]
    error_message = "functions, queues and mappings are named"
  }
}
