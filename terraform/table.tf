resource "aws_dynamodb_table" "ledger" {
  #checkov:skip=CKV_AWS_119:AWS's own key encrypts the table; a key of one's own is kms_key_arns.table, and costs by the month
  name         = coalesce(var.table_name, var.name)
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  # In `kinesis`, a change only says where to look; in `direct`, the aggregator reads the inbox from it.
  stream_enabled   = true
  stream_view_type = local.direct ? "NEW_IMAGE" : "KEYS_ONLY"

  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = ["pk", "sk", "tpk", "tsk", "upk", "usk"]
    content {
      name = attribute.value
      type = "S"
    }
  }

  global_secondary_index {
    name            = "by_time"
    hash_key        = "tpk"
    range_key       = "tsk"
    projection_type = "KEYS_ONLY"
  }

  global_secondary_index {
    name            = "unmet"
    hash_key        = "upk"
    range_key       = "usk"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    # False means AWS's own key, which costs nothing; there is no table without encryption.
    enabled     = var.kms_key_arns.table != null
    kms_key_arn = var.kms_key_arns.table
  }

  tags = var.tags
}
