variable "metrics_namespace" {
  description = "CloudWatch namespace of the pipeline's metrics; `name` if null."
  type        = string
  default     = null

  validation {
    condition     = var.metrics_namespace == null || can(regex("^[A-Za-z0-9][A-Za-z0-9._/#-]{0,254}$", var.metrics_namespace)) && !can(regex("^AWS/", var.metrics_namespace))
    error_message = "metrics_namespace has letters, digits and . _ / # -, and does not start with AWS/."
  }
}

variable "metric_agents" {
  description = "How many agents have metrics of their own; the others are `other` together. Each metric of an agent costs by the month, for the hours in which it reports."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.metric_agents >= 0 && var.metric_agents <= 10000 && floor(var.metric_agents) == var.metric_agents
    error_message = "metric_agents is a whole number from 0 to 10000."
  }
}

variable "alarms_enabled" {
  description = "Whether there are alarms, which cost by the month; null for yes in `kinesis` and no in `direct`."
  type        = bool
  default     = null
}

variable "dashboards_enabled" {
  description = "Whether there are dashboards, of which an account has three free; null for yes in `kinesis` and no in `direct`."
  type        = bool
  default     = null
}

variable "alarm_thresholds" {
  description = "From when alarms sound: age of what waits in a stream, lag from receipt to ledger at the 99th percentile, and refused submissions, conflicts, function errors, throttles and answers 5xx in five minutes; share of calls without a price in an hour, in percent; age of the archive."
  type = object({
    iterator_age_seconds  = optional(number, 60)
    ledger_lag_seconds    = optional(number, 120)
    rejected              = optional(number, 10)
    conflicts             = optional(number, 0)
    errors                = optional(number, 0)
    throttles             = optional(number, 0)
    api_5xx               = optional(number, 0)
    unpriced_percent      = optional(number, 1)
    archive_delay_seconds = optional(number, 1800)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for value in values(var.alarm_thresholds) : value >= 0])
    error_message = "alarm_thresholds are at least 0."
  }

  validation {
    condition     = var.alarm_thresholds.unpriced_percent <= 100
    error_message = "alarm_thresholds.unpriced_percent is at most 100."
  }

  validation {
    condition     = var.alarm_thresholds.iterator_age_seconds > var.aggregator_batching.window_seconds && var.alarm_thresholds.ledger_lag_seconds > var.aggregator_batching.window_seconds
    error_message = "alarm_thresholds.iterator_age_seconds and ledger_lag_seconds are longer than aggregator_batching.window_seconds, or they would sound all the time."
  }
}

variable "watched_agents" {
  description = "Agents that usually talk: an alarm sounds if one of them has sent nothing for `silence_hours`. Each needs metrics of its own (`metric_agents`)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for agent in var.watched_agents : can(regex("^[!-~]{1,128}$", agent))]) && length(distinct(var.watched_agents)) == length(var.watched_agents)
    error_message = "watched_agents are different names of 1 to 128 visible ASCII characters."
  }
}

variable "silence_hours" {
  description = "For how many hours a watched agent may be silent."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.silence_hours >= 1 && var.silence_hours <= 24 && floor(var.silence_hours) == var.silence_hours
    error_message = "silence_hours is a whole number from 1 to 24."
  }
}

variable "alarm_action_arns" {
  description = "Where alarms go beside the topics, such as an incident service: ARNs."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_action_arns : can(regex("^arn:[a-z0-9-]+:[a-z0-9-]+:", arn))])
    error_message = "alarm_action_arns are ARNs."
  }
}

variable "runbook" {
  description = "Where the runbook is that alarms name, without the `#` and what follows."
  type        = string
  default     = "docs/operations.md"
  nullable    = false

  validation {
    condition     = can(regex("^[!-~]{1,300}$", var.runbook)) && !strcontains(var.runbook, "#")
    error_message = "runbook is an address or a path without # and spaces."
  }
}

variable "prices_usd" {
  description = "What AWS charges, for the dashboard's cost of the pipeline: list prices of us-east-1 in November 2026. Others by https://aws.amazon.com/pricing."
  type = object({
    api_requests_per_million    = optional(number, 1)
    lambda_requests_per_million = optional(number, 0.2)
    lambda_gb_second            = optional(number)
    kinesis_stream_hour         = optional(number, 0.04)
    kinesis_shard_hour          = optional(number, 0.015)
    kinesis_gb_in               = optional(number, 0.08)
    kinesis_gb_out              = optional(number, 0.04)
    kinesis_puts_per_million    = optional(number, 0.014)
    dynamodb_writes_per_million = optional(number, 0.625)
    dynamodb_reads_per_million  = optional(number, 0.125)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for price in values(var.prices_usd) : price == null || try(price >= 0, false)])
    error_message = "prices_usd are at least 0."
  }
}
