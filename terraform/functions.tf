locals {
  functions = toset(["ingest", "aggregator", "alerter"])

  # s3://BUCKET/KEY?versionId=ID in its parts; null for a file.
  package_locations = {
    for name, package in var.packages : name => try(
      regex("^s3://(?P<bucket>[^/]+)/(?P<key>[^?]+)(?:[?]versionId=(?P<version>.+))?$", package), null
    )
  }
  package_files = { for name, package in var.packages : name => package if local.package_locations[name] == null }

  environment = {
    AGENTLEDGER_TABLE        = aws_dynamodb_table.ledger.name
    AGENTLEDGER_STREAM       = one(aws_kinesis_stream.events[*].name)
    AGENTLEDGER_LOG          = var.log_level
    AGENTLEDGER_LATE_DAYS    = tostring(var.late_days)
    AGENTLEDGER_REPLAY_HOURS = tostring(var.stream_retention_hours)
  }

  environments = {
    ingest = {
      AGENTLEDGER_LANES             = tostring(local.lanes)
      AGENTLEDGER_METRICS_NAMESPACE = local.namespace
      AGENTLEDGER_AUTH              = var.authentication
      AGENTLEDGER_AUDIENCE          = var.authentication == "token" ? var.token_audience : null
      # The PEM's base64 alone: a key is one word, and the environment of a function has 4 KB.
      AGENTLEDGER_PUBLIC_KEYS = var.authentication == "token" ? join(" ", [
        for key in var.public_keys : replace(replace(key, "/-----[A-Z ]+-----/", ""), "/\\s/", "")
      ]) : null
      AGENTLEDGER_PRINCIPALS = var.authentication == "iam" ? jsonencode({
        for arn, principal in var.principals : arn => { for k, v in principal : k => v if v != null }
      }) : null
    }
    aggregator = {
      AGENTLEDGER_METRICS_NAMESPACE = local.namespace
      AGENTLEDGER_METRIC_AGENTS     = tostring(var.metric_agents)
      AGENTLEDGER_BATCH_RECORDS     = local.settle_seconds == null ? null : tostring(var.aggregator_batching.batch_size)
      AGENTLEDGER_SETTLE_SECONDS    = local.settle_seconds
    }
    alerter = {
      AGENTLEDGER_SETTLE_SECONDS = local.settle_seconds
      AGENTLEDGER_TOPIC_INFO     = local.topic_arns.info
      AGENTLEDGER_TOPIC_WARNING  = local.topic_arns.warning
      AGENTLEDGER_TOPIC_CRITICAL = local.topic_arns.critical
      AGENTLEDGER_TOPIC_CHAT     = one(aws_sns_topic.chat[*].arn)
    }
  }
}

# Each function is a resource of its own, because their order matters: who reads a form of record is replaced
# before who writes it, so that an upgrade quarantines nothing.

resource "aws_lambda_function" "alerter" {
  #checkov:skip=CKV_AWS_50:tracing is a variable, as X-Ray charges for each trace
  #checkov:skip=CKV_AWS_115:reserved_concurrency is a variable, as it takes from what the account's other functions have
  #checkov:skip=CKV_AWS_116:the mapping and the schedule have a queue for what fails; nothing else invokes it asynchronously
  #checkov:skip=CKV_AWS_117:it calls only AWS; in a network of one's own it would need an endpoint for each service, charged by the hour
  #checkov:skip=CKV_AWS_173:its environment holds no secret
  #checkov:skip=CKV_AWS_272:code signing needs a signing profile of the account; the packages are reproducible instead
  function_name = "${var.name}-alerter"
  description   = "AgentLedger: changes of the ledger in, budget decisions and alerts out"
  role          = aws_iam_role.function["alerter"].arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = var.memory_mb.alerter
  timeout       = var.timeout_seconds.alerter

  filename          = lookup(local.package_files, "alerter", null)
  source_code_hash  = try(filebase64sha256(local.package_files["alerter"]), null)
  s3_bucket         = try(local.package_locations["alerter"].bucket, null)
  s3_key            = try(local.package_locations["alerter"].key, null)
  s3_object_version = try(local.package_locations["alerter"].version, null)

  reserved_concurrent_executions = var.reserved_concurrency.alerter

  environment {
    variables = { for k, v in merge(local.environment, local.environments.alerter) : k => v if v != null }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function["alerter"].name
    # What the function logs is its own to choose, by log_level. A report of each invocation would cost more than it.
    application_log_level = "DEBUG"
    system_log_level      = "WARN"
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_function" "aggregator" {
  #checkov:skip=CKV_AWS_50:tracing is a variable, as X-Ray charges for each trace
  #checkov:skip=CKV_AWS_115:reserved_concurrency is a variable, as it takes from what the account's other functions have
  #checkov:skip=CKV_AWS_116:the mapping has a queue for what fails; nothing invokes it asynchronously
  #checkov:skip=CKV_AWS_117:it calls only AWS; in a network of one's own it would need an endpoint for each service, charged by the hour
  #checkov:skip=CKV_AWS_173:its environment holds no secret
  #checkov:skip=CKV_AWS_272:code signing needs a signing profile of the account; the packages are reproducible instead
  function_name = "${var.name}-aggregator"
  description   = "AgentLedger: events in, one commit to the ledger and its totals"
  role          = aws_iam_role.function["aggregator"].arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = var.memory_mb.aggregator
  timeout       = var.timeout_seconds.aggregator

  filename          = lookup(local.package_files, "aggregator", null)
  source_code_hash  = try(filebase64sha256(local.package_files["aggregator"]), null)
  s3_bucket         = try(local.package_locations["aggregator"].bucket, null)
  s3_key            = try(local.package_locations["aggregator"].key, null)
  s3_object_version = try(local.package_locations["aggregator"].version, null)

  reserved_concurrent_executions = var.reserved_concurrency.aggregator

  environment {
    variables = { for k, v in merge(local.environment, local.environments.aggregator) : k => v if v != null }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function["aggregator"].name
    # What the function logs is its own to choose, by log_level. A report of each invocation would cost more than it.
    application_log_level = "DEBUG"
    system_log_level      = "WARN"
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function, aws_lambda_function.alerter]
}

resource "aws_lambda_function" "ingest" {
  #checkov:skip=CKV_AWS_50:tracing is a variable, as X-Ray charges for each trace
  #checkov:skip=CKV_AWS_115:reserved_concurrency is a variable, as it takes from what the account's other functions have
  #checkov:skip=CKV_AWS_116:it is invoked by the API alone, which waits for its answer: what fails, its sender sends again
  #checkov:skip=CKV_AWS_117:it calls only AWS; in a network of one's own it would need an endpoint for each service, charged by the hour
  #checkov:skip=CKV_AWS_173:its environment holds public keys and no secret
  #checkov:skip=CKV_AWS_272:code signing needs a signing profile of the account; the packages are reproducible instead
  function_name = "${var.name}-ingest"
  description   = "AgentLedger: requests in, validated events to the stream"
  role          = aws_iam_role.function["ingest"].arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = var.memory_mb.ingest
  timeout       = var.timeout_seconds.ingest

  filename          = lookup(local.package_files, "ingest", null)
  source_code_hash  = try(filebase64sha256(local.package_files["ingest"]), null)
  s3_bucket         = try(local.package_locations["ingest"].bucket, null)
  s3_key            = try(local.package_locations["ingest"].key, null)
  s3_object_version = try(local.package_locations["ingest"].version, null)

  reserved_concurrent_executions = var.reserved_concurrency.ingest

  environment {
    variables = { for k, v in merge(local.environment, local.environments.ingest) : k => v if v != null }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function["ingest"].name
    # What the function logs is its own to choose, by log_level. A report of each invocation would cost more than it.
    application_log_level = "DEBUG"
    system_log_level      = "WARN"
  }

  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.function, aws_lambda_function.aggregator]
}
