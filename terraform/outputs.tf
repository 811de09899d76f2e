output "ingest_url" {
  description = "The address of the API, without a path: usage goes to `POST {ingest_url}/v1/usage`."
  value       = aws_apigatewayv2_api.ingest.api_endpoint
}

output "ingest_invoke_arn" {
  description = "What an IAM principal that sends usage needs `execute-api:Invoke` for, with `authentication` = `iam`."
  value       = "${aws_apigatewayv2_api.ingest.execution_arn}/$default/POST/v1/usage"
}

output "api_id" {
  description = "The id of the HTTP API, to give it a domain name of one's own."
  value       = aws_apigatewayv2_api.ingest.id
}

output "table_name" {
  description = "The ledger's table."
  value       = aws_dynamodb_table.ledger.name
}

output "table_arn" {
  description = "The ledger's table, for policies of readers."
  value       = aws_dynamodb_table.ledger.arn
}

output "table_stream_arn" {
  description = "The table's stream. It has two readers at most: leave it to the module."
  value       = aws_dynamodb_table.ledger.stream_arn
}

output "stream_name" {
  description = "The Kinesis stream; null in `direct`."
  value       = one(aws_kinesis_stream.events[*].name)
}

output "stream_arn" {
  description = "The Kinesis stream, for policies; null in `direct`."
  value       = one(aws_kinesis_stream.events[*].arn)
}

output "alert_topic_arn" {
  description = "The topic of alerts: of all of them where there is one; where there are three by severity, that of limits that are reached, `critical`."
  value       = local.topic_arns.critical
}

output "alert_topic_arns" {
  description = "The topics of alerts by severity: `info`, `warning`, `critical`; all the same where there is one."
  value       = local.topic_arns
}

output "chat_topic_arn" {
  description = "The topic in the schema of chat notifications; null without `chat`."
  value       = one(aws_sns_topic.chat[*].arn)
}

output "function_names" {
  description = "The functions: `ingest`, `aggregator`, `alerter`."
  value = {
    ingest     = aws_lambda_function.ingest.function_name
    aggregator = aws_lambda_function.aggregator.function_name
    alerter    = aws_lambda_function.alerter.function_name
  }
}

output "role_arns" {
  description = "The functions' roles."
  value       = { for name, role in aws_iam_role.function : name => role.arn }
}

output "mapping_ids" {
  description = "The event source mappings, to pause and to resume them."
  value = {
    aggregator = aws_lambda_event_source_mapping.aggregator.uuid
    alerter    = aws_lambda_event_source_mapping.alerter.uuid
  }
}

output "failure_queue_urls" {
  description = "The queues of what the mappings gave up, of `aggregator` and `alerter`."
  value       = { for name, queue in aws_sqs_queue.failures : name => queue.url }
}

output "log_group_names" {
  description = "The functions' log groups, and that of the API."
  value = merge(
    { for name, group in aws_cloudwatch_log_group.function : name => group.name },
    { for group in aws_cloudwatch_log_group.api : "api" => group.name },
  )
}

output "metrics_namespace" {
  description = "The CloudWatch namespace of the pipeline's metrics."
  value       = local.namespace
}

output "dashboard_names" {
  description = "The dashboards, for engineers and for SREs; empty without."
  value       = [for dashboard in aws_cloudwatch_dashboard.this : dashboard.dashboard_name]
}

output "alarm_names" {
  description = "The alarms."
  value       = sort(concat(values(aws_cloudwatch_metric_alarm.metric)[*].alarm_name, values(aws_cloudwatch_metric_alarm.expression)[*].alarm_name))
}

output "archive_bucket" {
  description = "The bucket of the archive; null without."
  value       = one(aws_s3_bucket.archive[*].bucket)
}
