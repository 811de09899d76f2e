# A deployment for use: signed tokens, a key of one's own for all that is stored, an archive of the raw stream, alarms
# to where they are heard, and budgets.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.90"
    }
  }

  # Keep the state where your team can share and lock it:
  # backend "s3" {}
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { service = "agentledger" }
  }
}

module "agentledger" {
  source = "../.."

  name         = var.name
  architecture = "arm64"
  packages     = var.packages
  runbook      = var.runbook

  # The stream: a week to mend what goes wrong, and the archive for what comes later.
  stream_mode            = var.shard_count == null ? "ON_DEMAND" : "PROVISIONED"
  shard_count            = coalesce(var.shard_count, 1)
  stream_retention_hours = 168
  archive = {
    enabled     = true
    expire_days = 730
  }

  # Minute-old totals are soon enough here, and cost a fraction of two-second-old ones (docs/cost.md).
  aggregator_batching = {
    window_seconds = 60
    batch_size     = 10000
  }
  alarm_thresholds = {
    iterator_age_seconds = 180
    ledger_lag_seconds   = 180
  }

  authentication = "token"
  public_keys    = [for file in var.public_key_files : file(file)]
  throttle = {
    rate_limit  = 1000
    burst_limit = 2000
  }

  # A runaway sender must not take the account's whole concurrency, nor this pipeline be left without any.
  reserved_concurrency = {
    ingest     = 100
    aggregator = 20
    alerter    = 10
  }

  kms_key_arns = {
    table   = aws_kms_key.agentledger.arn
    stream  = aws_kms_key.agentledger.arn
    topics  = aws_kms_key.agentledger.arn
    queues  = aws_kms_key.agentledger.arn
    logs    = aws_kms_key.agentledger.arn
    archive = aws_kms_key.agentledger.arn
  }

  log_retention_days = 365

  budgets        = var.budgets
  subscriptions  = var.subscriptions
  chat           = var.chat
  watched_agents = var.watched_agents

  depends_on = [aws_kms_key_policy.agentledger]
}
