resource "aws_kinesis_stream" "events" {
  #checkov:skip=CKV_AWS_185:AWS's key for Kinesis encrypts the stream; a key of one's own is kms_key_arns.stream, and costs by the month
  count = local.kinesis ? 1 : 0

  name             = var.name
  shard_count      = var.stream_mode == "PROVISIONED" ? var.shard_count : null
  retention_period = var.stream_retention_hours

  encryption_type = "KMS"
  kms_key_id      = coalesce(var.kms_key_arns.stream, "alias/aws/kinesis")

  stream_mode_details {
    stream_mode = var.stream_mode
  }

  tags = var.tags
}
