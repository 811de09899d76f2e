data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id

  kinesis = var.profile == "kinesis"
  direct  = var.profile == "direct"
  archive = local.kinesis && var.archive.enabled

  # What costs when idle is off in `direct`, unless it is asked for.
  alarms     = coalesce(var.alarms_enabled, local.kinesis)
  dashboards = coalesce(var.dashboards_enabled, local.kinesis)
  sweep_rate = { default = local.kinesis ? "rate(1 minute)" : null, off = null }
  sweep      = lookup(local.sweep_rate, var.sweep_schedule, var.sweep_schedule)

  # A full batch leaves the totals that it touches to the next, for as long as a batch may be gathered. If no next one
  # comes, the sweep is what writes them: without one in each minute, nothing is left to it.
  settle_seconds = local.kinesis && local.sweep == local.sweep_rate.default ? tostring(var.aggregator_batching.window_seconds) : null

  namespace = coalesce(var.metrics_namespace, var.name)
  # Lanes that no shard needs only make totals more to read; those of a stream on demand, which begins with
  # four shards, cannot follow it by themselves.
  lanes = coalesce(var.lanes, local.direct ? 1 : var.stream_mode == "PROVISIONED" ? var.shard_count : 4)

  # Roles belong to the whole account, other names to a region.
  role_prefix = "${var.name}-${local.region}"
}
