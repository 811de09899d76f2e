resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs by its own key; a key of one's own is kms_key_arns.logs, and costs by the month
  #checkov:skip=CKV_AWS_338:how long logs are kept is a variable; the ledger, not the logs, is what is kept for years
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arns.logs

  tags = var.tags
}

resource "aws_cloudwatch_log_group" "api" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs by its own key; a key of one's own is kms_key_arns.logs, and costs by the month
  #checkov:skip=CKV_AWS_338:how long logs are kept is a variable; the ledger, not the logs, is what is kept for years
  count = var.access_logs ? 1 : 0

  # Under this prefix, deliveries share one resource policy, of which an account has only ten.
  name              = "/aws/vendedlogs/apis/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arns.logs

  tags = var.tags
}
