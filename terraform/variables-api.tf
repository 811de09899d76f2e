variable "authentication" {
  description = "How callers are known. `token`: signed bearer tokens, verified in the function by `public_keys`. `iam`: requests signed by IAM principals, which `principals` maps to agents. `none`: anybody may write, which `allow_unauthenticated` has to allow."
  type        = string
  default     = "token"
  nullable    = false

  validation {
    condition     = contains(["token", "iam", "none"], var.authentication)
    error_message = "authentication is token, iam or none."
  }

  validation {
    condition     = var.authentication != "token" || length(var.public_keys) > 0
    error_message = "authentication token needs public_keys, or nobody could write: `agentledger token keygen` makes a pair."
  }

  validation {
    condition     = var.authentication != "iam" || length(var.principals) > 0
    error_message = "authentication iam needs principals, or nobody could write."
  }

  validation {
    condition     = var.authentication != "none" || var.allow_unauthenticated
    error_message = "authentication none lets everybody who knows the address write; set allow_unauthenticated to allow that."
  }
}

variable "allow_unauthenticated" {
  description = "Says that the API may be written to by anybody. Only with `authentication` = `none`."
  type        = bool
  default     = false
  nullable    = false
}

variable "public_keys" {
  description = "Ed25519 public keys that verify tokens, each the PEM text of a `.pub` file of `agentledger token keygen`; two while keys are rotated."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.public_keys) <= 16 && alltrue([for key in var.public_keys : can(regex("^\\s*-----BEGIN PUBLIC KEY-----\\s+MCowBQYDK2VwAyEA[A-Za-z0-9+/=\\s]+-----END PUBLIC KEY-----\\s*$", key))])
    error_message = "public_keys are at most 16 Ed25519 public keys in PEM (-----BEGIN PUBLIC KEY-----)."
  }
}

variable "token_audience" {
  description = "Whom tokens have to be for."
  type        = string
  default     = "agentledger"
  nullable    = false

  validation {
    condition     = can(regex("^[!-~]{1,128}$", var.token_audience))
    error_message = "token_audience has 1 to 128 visible ASCII characters."
  }
}

variable "principals" {
  description = "IAM principals by their ARN (of a role, not of its sessions; or of a user), the agents each may write for (names, or patterns with `*`), and the team that pays."
  type = map(object({
    agents = list(string)
    team   = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in keys(var.principals) : can(regex("^arn:[a-z0-9-]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "principals are ARNs of IAM roles or users, such as arn:aws:iam::123456789012:role/researcher."
  }

  validation {
    condition     = alltrue([for p in values(var.principals) : length(p.agents) >= 1 && length(p.agents) <= 16 && alltrue([for a in p.agents : can(regex("^[!-~]{1,128}$", a))])])
    error_message = "each of principals has 1 to 16 agents of 1 to 128 visible ASCII characters."
  }

  validation {
    condition     = alltrue([for p in values(var.principals) : p.team == null || can(regex("^[!-~]{1,128}$", p.team))])
    error_message = "the team of a principal has 1 to 128 visible ASCII characters."
  }

  validation {
    condition     = length(var.principals) <= 100 && length(jsonencode(var.principals)) <= 3000
    error_message = "principals are at most 100, and 3,000 bytes as JSON, as a function's environment has 4 KB: use patterns, or tokens."
  }
}

variable "throttle" {
  description = "What the API takes: requests in a second, and at once. More are answered with 429, and nothing of them is accepted."
  type = object({
    rate_limit  = optional(number, 500)
    burst_limit = optional(number, 1000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.throttle.rate_limit >= 1 && var.throttle.burst_limit >= 1 && floor(var.throttle.burst_limit) == var.throttle.burst_limit
    error_message = "throttle.rate_limit and throttle.burst_limit are at least 1."
  }
}

variable "access_logs" {
  description = "Whether the API logs each request: time, caller's address, route, status and times; no headers and no bodies."
  type        = bool
  default     = true
  nullable    = false
}
