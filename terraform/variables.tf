variable "name" {
  description = "Name of the deployment: of the table and the stream, and the first part of the name of everything else. Two deployments in one account and region need two names."
  type        = string
  default     = "AgentLedger"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{2,31}$", var.name))
    error_message = "name has 3 to 32 letters, digits and hyphens, and starts with a letter."
  }
}

variable "tags" {
  description = "Tags of every resource that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "profile" {
  description = "`kinesis`: events go through a Kinesis stream. `direct`: they go through an inbox in the table, and nothing costs anything when idle. The two differ in the table's stream: choose once."
  type        = string
  default     = "kinesis"
  nullable    = false

  validation {
    condition     = contains(["kinesis", "direct"], var.profile)
    error_message = "profile is kinesis or direct."
  }
}

variable "packages" {
  description = "The functions' packages, as `cargo xtask package` makes them: each the path of a zip, or `s3://BUCKET/KEY`, with `?versionId=ID` behind it if the bucket keeps versions."
  type = object({
    ingest     = string
    aggregator = string
    alerter    = string
  })
  nullable = false

  validation {
    condition = alltrue([
      for package in values(var.packages) : can(regex("^s3://[a-z0-9][a-z0-9.-]+/[^?]+([?]versionId=[^?]+)?$", package)) || try(fileexists(package), false)
    ])
    error_message = "each of packages is an existing file or s3://BUCKET/KEY; `cargo xtask package` makes the files."
  }
}

variable "architecture" {
  description = "What the packages are built for: `arm64` or `x86_64`."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64."
  }
}

# The stream

variable "stream_mode" {
  description = "Of the profile `kinesis`: `ON_DEMAND`, which costs when idle and scales by itself, or `PROVISIONED`, with `shard_count`."
  type        = string
  default     = "ON_DEMAND"
  nullable    = false

  validation {
    condition     = contains(["ON_DEMAND", "PROVISIONED"], var.stream_mode)
    error_message = "stream_mode is ON_DEMAND or PROVISIONED."
  }
}

variable "shard_count" {
  description = "Shards of a provisioned stream. Each takes 1 MiB or 1,000 records in a second. AWS at most doubles or halves it at a time."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.shard_count >= 1 && var.shard_count <= 500 && floor(var.shard_count) == var.shard_count
    error_message = "shard_count is a whole number from 1 to 500."
  }
}

variable "stream_retention_hours" {
  description = "For how long the stream keeps events, and so how far back a replay reaches; of the profile `direct`, for how long the inbox does. Kinesis charges for more than 24."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.stream_retention_hours >= 24 && var.stream_retention_hours <= 8760 && floor(var.stream_retention_hours) == var.stream_retention_hours
    error_message = "stream_retention_hours is a whole number from 24 to 8760."
  }
}

variable "lanes" {
  description = "How many lanes ingest spreads agents over; one that is much of the traffic goes to several. A lane takes some 1,000 records or 1 MB a second, as a shard does. Each has totals of its own, which readers add up: more are dearer. By default the shards of a provisioned stream, 4 of one on demand, 1 of `direct`."
  type        = number
  default     = null

  validation {
    condition     = var.lanes == null || try(var.lanes >= 1 && var.lanes <= 256 && floor(var.lanes) == var.lanes, false)
    error_message = "lanes is a whole number from 1 to 256."
  }

  validation {
    condition     = var.lanes == null || var.profile != "kinesis" || var.stream_mode != "PROVISIONED" || try(var.lanes >= var.shard_count, false)
    error_message = "lanes is at least shard_count: a shard without a lane would be paid for and stay empty."
  }
}

variable "late_days" {
  description = "Events older than so many days are refused: their period is closed."
  type        = number
  default     = 400
  nullable    = false

  validation {
    condition     = var.late_days >= 1 && var.late_days <= 3660 && floor(var.late_days) == var.late_days
    error_message = "late_days is a whole number from 1 to 3660."
  }
}

# The mappings

variable "aggregator_batching" {
  description = "How the aggregator is invoked: `window_seconds` (how long a batch is gathered, and, in `kinesis` with a sweep in each minute, how long full batches leave it to the next to write totals, so that alerts are later by as much; longer is cheaper), `batch_size`, and `parallelization` (batches of one shard at a time)."
  type = object({
    window_seconds  = optional(number, 2)
    batch_size      = optional(number, 1000)
    parallelization = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.aggregator_batching.window_seconds >= 0 && var.aggregator_batching.window_seconds <= 300 && floor(var.aggregator_batching.window_seconds) == var.aggregator_batching.window_seconds
    error_message = "aggregator_batching.window_seconds is a whole number from 0 to 300."
  }

  validation {
    condition     = var.aggregator_batching.batch_size >= 1 && var.aggregator_batching.batch_size <= 10000 && floor(var.aggregator_batching.batch_size) == var.aggregator_batching.batch_size
    error_message = "aggregator_batching.batch_size is a whole number from 1 to 10000."
  }

  validation {
    condition     = var.aggregator_batching.batch_size <= 10 || var.aggregator_batching.window_seconds >= 1
    error_message = "aggregator_batching.window_seconds is at least 1 if batch_size is above 10: AWS asks for it."
  }

  validation {
    condition     = var.aggregator_batching.parallelization >= 1 && var.aggregator_batching.parallelization <= 10 && floor(var.aggregator_batching.parallelization) == var.aggregator_batching.parallelization
    error_message = "aggregator_batching.parallelization is a whole number from 1 to 10."
  }
}

variable "alerter_batching" {
  description = "How the alerter is invoked, in the same words."
  type = object({
    window_seconds  = optional(number, 1)
    batch_size      = optional(number, 1000)
    parallelization = optional(number, 1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.alerter_batching.window_seconds >= 0 && var.alerter_batching.window_seconds <= 300 && floor(var.alerter_batching.window_seconds) == var.alerter_batching.window_seconds
    error_message = "alerter_batching.window_seconds is a whole number from 0 to 300."
  }

  validation {
    condition     = var.alerter_batching.batch_size >= 1 && var.alerter_batching.batch_size <= 10000 && floor(var.alerter_batching.batch_size) == var.alerter_batching.batch_size
    error_message = "alerter_batching.batch_size is a whole number from 1 to 10000."
  }

  validation {
    condition     = var.alerter_batching.batch_size <= 10 || var.alerter_batching.window_seconds >= 1
    error_message = "alerter_batching.window_seconds is at least 1 if batch_size is above 10: AWS asks for it."
  }

  validation {
    condition     = var.alerter_batching.parallelization >= 1 && var.alerter_batching.parallelization <= 10 && floor(var.alerter_batching.parallelization) == var.alerter_batching.parallelization
    error_message = "alerter_batching.parallelization is a whole number from 1 to 10."
  }
}

# The functions

variable "memory_mb" {
  description = "Memory of each function, in MB, which also decides its share of a processor."
  type = object({
    ingest     = optional(number, 256)
    aggregator = optional(number, 512)
    alerter    = optional(number, 256)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for mb in values(var.memory_mb) : mb >= 128 && mb <= 10240 && floor(mb) == mb])
    error_message = "memory_mb are whole numbers from 128 to 10240."
  }
}

variable "timeout_seconds" {
  description = "How long each function may take, in seconds. That of ingest is from 11, as it tries to reach the stream for 10, to 29, as API Gateway waits for 30."
  type = object({
    ingest     = optional(number, 15)
    aggregator = optional(number, 120)
    alerter    = optional(number, 60)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for seconds in values(var.timeout_seconds) : seconds >= 3 && seconds <= 900 && floor(seconds) == seconds]) && var.timeout_seconds.ingest >= 11 && var.timeout_seconds.ingest <= 29
    error_message = "timeout_seconds are whole numbers from 3 to 900, and that of ingest from 11 to 29."
  }
}

variable "reserved_concurrency" {
  description = "How many of each function may run at a time, which is also kept free for it; -1 for the account's rest. 0 stops it."
  type = object({
    ingest     = optional(number, -1)
    aggregator = optional(number, -1)
    alerter    = optional(number, -1)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for n in values(var.reserved_concurrency) : n >= -1 && floor(n) == n])
    error_message = "reserved_concurrency are whole numbers from -1."
  }
}

variable "log_level" {
  description = "The least severe lines that the functions log: `error`, `warn`, `info` or `debug`."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["error", "warn", "info", "debug"], var.log_level)
    error_message = "log_level is error, warn, info or debug."
  }
}

variable "log_retention_days" {
  description = "For how long logs are kept, in days; 0 for ever."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is one that CloudWatch knows: 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "tracing" {
  description = "Whether X-Ray traces the functions; it charges for each trace."
  type        = bool
  default     = false
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "A policy that bounds every role of the module; none if null."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is the ARN of an IAM policy."
  }
}

# What is stored

variable "table_name" {
  description = "Name of the table; `name` if null. It is here for a table that was restored under another name."
  type        = string
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[A-Za-z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name has 3 to 255 letters, digits and _ . -"
  }
}

variable "point_in_time_recovery" {
  description = "Whether the table can be restored to any second of the last 35 days. It is charged by what is stored."
  type        = bool
  default     = true
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted. To destroy a deployment, apply once with `false` before."
  type        = bool
  default     = true
  nullable    = false
}

variable "kms_key_arns" {
  description = "Own KMS keys, each an ARN, for what is stored. Without one, AWS's own keys are used; topics have none then. A key costs by the month: none in `direct`. The key's policy has to let CloudWatch alarms use that of the topics, and CloudWatch Logs that of the logs (examples/production has one)."
  type = object({
    table   = optional(string)
    stream  = optional(string)
    topics  = optional(string)
    queues  = optional(string)
    logs    = optional(string)
    archive = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in values(var.kms_key_arns) : arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", arn))])
    error_message = "kms_key_arns are ARNs of KMS keys (not of aliases)."
  }
}

variable "archive" {
  description = "A copy of the raw stream in S3, for replays beyond the stream's retention, of the profile `kinesis`. `bucket_name` null for a name that AWS completes; `expire_days` 0 for ever; `infrequent_after_days` 0 for never."
  type = object({
    enabled               = optional(bool, false)
    bucket_name           = optional(string)
    buffer_seconds        = optional(number, 300)
    buffer_mb             = optional(number, 64)
    infrequent_after_days = optional(number, 30)
    expire_days           = optional(number, 0)
    force_destroy         = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.archive.enabled || var.profile == "kinesis"
    error_message = "archive needs the profile kinesis: in direct there is no stream to copy."
  }

  validation {
    condition     = var.archive.bucket_name == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.archive.bucket_name))
    error_message = "archive.bucket_name has 3 to 63 lower-case letters, digits, dots and hyphens."
  }

  validation {
    condition     = var.archive.buffer_seconds >= 0 && var.archive.buffer_seconds <= 900 && var.archive.buffer_mb >= 1 && var.archive.buffer_mb <= 128
    error_message = "archive.buffer_seconds is from 0 to 900, archive.buffer_mb from 1 to 128."
  }

  validation {
    condition     = (var.archive.infrequent_after_days == 0 || var.archive.infrequent_after_days >= 30) && var.archive.expire_days >= 0 && (var.archive.expire_days == 0 || var.archive.expire_days > var.archive.infrequent_after_days)
    error_message = "archive.infrequent_after_days is 0 or at least 30, and archive.expire_days is 0 or after it."
  }
}
