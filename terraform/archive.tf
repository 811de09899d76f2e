locals {
  archive_bucket_arn = one(aws_s3_bucket.archive[*].arn)
}

resource "aws_s3_bucket" "archive" {
  #checkov:skip=CKV_AWS_18:who reads the archive is in CloudTrail's data events, which are the account's to set; a log bucket of its own would log one writer
  #checkov:skip=CKV_AWS_144:the archive is a copy already, of what the ledger holds
  #checkov:skip=CKV_AWS_145:S3 encrypts by its own key; a key of one's own is kms_key_arns.archive, and costs by the month
  #checkov:skip=CKV2_AWS_62:nothing waits for its objects: a replay is started by an operator
  count = local.archive ? 1 : 0

  bucket = var.archive.bucket_name
  # A prefix has at most 37 characters.
  bucket_prefix = var.archive.bucket_name == null ? "${substr(lower(var.name), 0, 28)}-archive-" : null
  force_destroy = var.archive.force_destroy

  tags = var.tags
}

resource "aws_s3_bucket_public_access_block" "archive" {
  count = local.archive ? 1 : 0

  bucket                  = aws_s3_bucket.archive[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "archive" {
  count = local.archive ? 1 : 0

  bucket = aws_s3_bucket.archive[0].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "archive" {
  count = local.archive ? 1 : 0

  bucket = aws_s3_bucket.archive[0].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "archive" {
  count = local.archive ? 1 : 0

  bucket = aws_s3_bucket.archive[0].id
  rule {
    bucket_key_enabled = var.kms_key_arns.archive != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arns.archive == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arns.archive
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "archive" {
  count = local.archive ? 1 : 0

  bucket = aws_s3_bucket.archive[0].id

  rule {
    id     = "keep"
    status = "Enabled"
    filter {}

    dynamic "transition" {
      for_each = var.archive.infrequent_after_days > 0 ? [var.archive.infrequent_after_days] : []
      content {
        days          = transition.value
        storage_class = "STANDARD_IA"
      }
    }

    dynamic "expiration" {
      for_each = var.archive.expire_days > 0 ? [var.archive.expire_days] : []
      content {
        days = expiration.value
      }
    }

    # What was deleted by mistake can be had back for a month.
    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.archive]
}

resource "aws_s3_bucket_policy" "archive" {
  count = local.archive ? 1 : 0

  bucket = aws_s3_bucket.archive[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EncryptedTransportOnly"
      Effect    = "Deny"
      Action    = "s3:*"
      Principal = "*"
      Resource  = [local.archive_bucket_arn, "${local.archive_bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.archive]
}

resource "aws_cloudwatch_log_group" "archive" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs by its own key; a key of one's own is kms_key_arns.logs, and costs by the month
  #checkov:skip=CKV_AWS_338:how long logs are kept is a variable; the ledger, not the logs, is what is kept for years
  count = local.archive ? 1 : 0

  name              = "/aws/kinesisfirehose/${var.name}-archive"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arns.logs

  tags = var.tags
}

resource "aws_cloudwatch_log_stream" "archive" {
  count = local.archive ? 1 : 0

  name           = "delivery"
  log_group_name = aws_cloudwatch_log_group.archive[0].name
}

resource "aws_iam_role" "archive" {
  count = local.archive ? 1 : 0

  name                 = "${local.role_prefix}-archive"
  description          = "AgentLedger: the copy of the stream to the archive"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "firehose.amazonaws.com" }
      Condition = { StringEquals = { "sts:ExternalId" = local.account } }
    }]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "archive" {
  count = local.archive ? 1 : 0

  name = "use"
  role = aws_iam_role.archive[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadEvents"
          Effect   = "Allow"
          Action   = ["kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"]
          Resource = [aws_kinesis_stream.events[0].arn]
        },
        {
          Sid      = "FindBucket"
          Effect   = "Allow"
          Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
          Resource = [local.archive_bucket_arn]
        },
        {
          Sid      = "WriteArchive"
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
          Resource = ["${local.archive_bucket_arn}/*"]
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.archive[0].arn}:log-stream:*"]
        },
      ],
      [for arn in compact([var.kms_key_arns.stream]) : {
        Sid       = "KeyStream"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [arn]
        Condition = { StringEquals = { "kms:ViaService" = "kinesis.${local.region}.amazonaws.com" } }
      }],
      [for arn in compact([var.kms_key_arns.archive]) : {
        Sid       = "KeyArchive"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
      }],
    )
  })
}

resource "aws_kinesis_firehose_delivery_stream" "archive" {
  #checkov:skip=CKV_AWS_240:what it reads is encrypted by the stream, what it writes by the bucket; a delivery stream that reads a stream takes no key of its own
  #checkov:skip=CKV_AWS_241:as for CKV_AWS_240
  count = local.archive ? 1 : 0

  name        = "${var.name}-archive"
  destination = "extended_s3"

  kinesis_source_configuration {
    kinesis_stream_arn = aws_kinesis_stream.events[0].arn
    role_arn           = aws_iam_role.archive[0].arn
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.archive[0].arn
    bucket_arn          = local.archive_bucket_arn
    prefix              = "events/!{timestamp:yyyy/MM/dd/HH}/"
    error_output_prefix = "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
    buffering_interval  = var.archive.buffer_seconds
    buffering_size      = var.archive.buffer_mb
    compression_format  = "GZIP"

    # A record is one line of JSON; without this they would run into each other.
    processing_configuration {
      enabled = true
      processors {
        type = "AppendDelimiterToRecord"
        parameters {
          parameter_name  = "Delimiter"
          parameter_value = "\\n"
        }
      }
    }

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.archive[0].name
      log_stream_name = aws_cloudwatch_log_stream.archive[0].name
    }
  }

  tags = var.tags

  depends_on = [aws_iam_role_policy.archive]
}
