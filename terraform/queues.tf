resource "aws_sqs_queue" "failures" {
  for_each = toset(["aggregator", "alerter"])

  name                      = "${var.name}-${each.key}-failures"
  message_retention_seconds = 14 * 24 * 3600

  sqs_managed_sse_enabled           = var.kms_key_arns.queues == null ? true : null
  kms_master_key_id                 = var.kms_key_arns.queues
  kms_data_key_reuse_period_seconds = var.kms_key_arns.queues == null ? null : 3600

  tags = var.tags
}
