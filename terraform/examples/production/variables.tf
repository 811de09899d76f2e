variable "region" {
  description = "Where."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "Name of the deployment."
  type        = string
  default     = "AgentLedger"
}

variable "packages" {
  description = "The functions' packages: paths, or s3://BUCKET/KEY?versionId=ID, so that a rollback names what was there before."
  type = object({
    ingest     = string
    aggregator = string
    alerter    = string
  })
}

variable "public_key_files" {
  description = "The `.pub` files of `agentledger token keygen` whose tokens are taken: two while keys are rotated."
  type        = list(string)
}

variable "shard_count" {
  description = "Shards of a provisioned stream; null for one on demand."
  type        = number
  default     = null
}

variable "runbook" {
  description = "Where docs/operations.md is shown to those whom alarms wake."
  type        = string
  default     = "docs/operations.md"
}

variable "budgets" {
  description = "Budgets, as the module takes them."
  type        = any
  default = [
    {
      name       = "company-month"
      scope      = "org"
      limit_usd  = "25000"
      period     = "month"
      timezone   = "Europe/Berlin"
      thresholds = [50, 80, 100]
      unpriced   = "block"
    },
    {
      name       = "growth-month"
      scope      = "team:growth"
      limit_usd  = "4000"
      period     = "month"
      timezone   = "Europe/Berlin"
      thresholds = [80, 100, 120]
    },
    {
      name         = "researcher-day"
      scope        = "agent:researcher-7"
      limit_tokens = 20000000
      period       = "day"
    },
  ]
}

variable "subscriptions" {
  description = "Who gets alerts and alarms."
  type        = any
  default = [
    { protocol = "email", endpoint = "finance@example.com", severity = "info" },
    { protocol = "https", endpoint = "https://pager.example.com/agentledger", severity = "critical" },
  ]
}

variable "chat" {
  description = "The channel of the alerts, as the module takes it."
  type        = any
  default     = {}
}

variable "watched_agents" {
  description = "Agents whose silence is an alarm."
  type        = list(string)
  default     = []
}
