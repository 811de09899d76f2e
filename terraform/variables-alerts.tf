variable "budgets" {
  description = "Budgets, as `PUT /v1/admin/budgets/NAME` takes them. One of `limit_usd` (a decimal as text, so that it stays exact) and `limit_tokens`. `unpriced` says what calls of unknown cost mean: `ignore`, `block`, or, by `assume_usd_per_token`, a price. One that is taken out of the list stays in the ledger until `agentledger budget rm`."
  type = list(object({
    name                 = string
    scope                = string
    limit_usd            = optional(string)
    limit_tokens         = optional(number)
    period               = string
    timezone             = optional(string, "UTC")
    thresholds           = optional(list(number), [50, 80, 100])
    unpriced             = optional(string, "ignore")
    assume_usd_per_token = optional(string)
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for b in var.budgets : can(regex("^[!-\"$-~]{1,64}$", b.name))]) && length(distinct(var.budgets[*].name)) == length(var.budgets)
    error_message = "a budget's name has 1 to 64 visible ASCII characters without #, and no two have the same."
  }

  validation {
    condition     = alltrue([for b in var.budgets : can(regex("^(org|(team|agent|task|model):[!-~]{1,128})$", b.scope))])
    error_message = "a budget's scope is org, team:NAME, agent:NAME, task:NAME or model:NAME."
  }

  validation {
    condition     = alltrue([for b in var.budgets : (b.limit_usd == null) != (b.limit_tokens == null)])
    error_message = "a budget has one of limit_usd and limit_tokens."
  }

  validation {
    condition = alltrue([
      for b in var.budgets : b.limit_usd == null || try(can(regex("^(0|[1-9][0-9]{0,10})([.][0-9]{1,15})?$", b.limit_usd)) && can(regex("[1-9]", b.limit_usd)), false)
    ])
    error_message = "limit_usd is a decimal above 0 and below 10^11 as text, with at most 15 places, such as \"100\" or \"0.50\"."
  }

  validation {
    condition     = alltrue([for b in var.budgets : b.limit_tokens == null || try(b.limit_tokens >= 1 && b.limit_tokens <= 9007199254740992 && floor(b.limit_tokens) == b.limit_tokens, false)])
    error_message = "limit_tokens is a whole number from 1 to 2^53."
  }

  validation {
    condition     = alltrue([for b in var.budgets : contains(["hour", "day", "week", "month"], b.period)])
    error_message = "a budget's period is hour, day, week or month."
  }

  validation {
    condition     = alltrue([for b in var.budgets : can(regex("^(UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]+){1,2})$", b.timezone))])
    error_message = "a budget's timezone is a zone of the IANA database, such as UTC or Europe/Berlin."
  }

  validation {
    condition     = alltrue([for b in var.budgets : length(b.thresholds) >= 1 && length(b.thresholds) <= 20 && alltrue([for t in b.thresholds : t >= 1 && t <= 10000 && floor(t) == t])])
    error_message = "a budget has 1 to 20 thresholds, each a whole percentage from 1 to 10000."
  }

  validation {
    condition     = alltrue([for b in var.budgets : contains(["ignore", "block"], b.unpriced)])
    error_message = "unpriced is ignore or block; for a price, set assume_usd_per_token."
  }

  validation {
    condition = alltrue([
      for b in var.budgets : b.assume_usd_per_token == null || (b.limit_usd != null && b.unpriced == "ignore" && can(regex("^(0|[1-9][0-9]{0,10})([.][0-9]{1,15})?$", b.assume_usd_per_token)))
    ])
    error_message = "assume_usd_per_token is a decimal as text, of a budget with limit_usd, and without unpriced = block."
  }

  validation {
    # The schedule's input may have 256 KB.
    condition     = length(jsonencode(var.budgets)) <= 200000
    error_message = "budgets are too many for a schedule (200,000 bytes as JSON): set the rest by `agentledger budget set`."
  }
}

variable "sweep_schedule" {
  description = "How often budgets are evaluated again and alerts that were not delivered are sent again: `default` (each minute in `kinesis`, never in `direct`, where nothing may cost when idle), `off`, or a rate such as `rate(5 minutes)`."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^(default|off|rate[(](1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))[)])$", var.sweep_schedule))
    error_message = "sweep_schedule is default, off or a rate such as rate(5 minutes)."
  }
}

variable "topics_by_severity" {
  description = "Whether alerts go to three topics, `info`, `warning` and `critical`; otherwise all go to one, and `severity` is an attribute of the message to filter by."
  type        = bool
  default     = true
  nullable    = false
}

variable "subscriptions" {
  description = "Who gets alerts: addresses of email, or https webhooks that take SNS's messages, each with the least severe of `info`, `warning` and `critical` that it wants. Alarms come with `warning` or `critical`. A subscription has to be confirmed by its receiver."
  type = list(object({
    protocol = string
    endpoint = string
    severity = optional(string, "info")
  }))
  default  = []
  nullable = false

  validation {
    condition = alltrue([
      for s in var.subscriptions :
      (s.protocol == "email" && can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", s.endpoint))) || (s.protocol == "https" && can(regex("^https://[^ ]+$", s.endpoint)))
    ])
    error_message = "a subscription is of the protocol email with an address, or https with an https:// address."
  }

  validation {
    condition     = alltrue([for s in var.subscriptions : contains(["info", "warning", "critical"], s.severity)])
    error_message = "the severity of a subscription is info, warning or critical."
  }
}

variable "chat" {
  description = "A topic of its own in the schema of chat notifications (Amazon Q Developer in chat applications, once AWS Chatbot), and the channels it goes to. The workspace has to be authorised in the console once."
  type = object({
    enabled = optional(bool, false)
    slack = optional(object({
      workspace_id = string
      channel_id   = string
    }))
    teams = optional(object({
      team_id    = string
      tenant_id  = string
      channel_id = string
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.chat.enabled || (var.chat.slack == null && var.chat.teams == null)
    error_message = "chat.slack and chat.teams need chat.enabled."
  }

  validation {
    condition     = var.chat.slack == null || try(can(regex("^T[A-Z0-9]+$", var.chat.slack.workspace_id)) && can(regex("^[CG][A-Z0-9]+$", var.chat.slack.channel_id)), false)
    error_message = "chat.slack has a workspace_id such as T07EA123LEP and a channel_id such as C07EZ1ABC23."
  }
}
