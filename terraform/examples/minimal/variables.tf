variable "region" {
  description = "Where."
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "Name of the deployment."
  type        = string
  default     = "AgentLedger"
}

variable "profile" {
  description = "`kinesis`, or `direct`, which costs nothing when idle."
  type        = string
  default     = "kinesis"
}

variable "architecture" {
  description = "What the packages are built for."
  type        = string
  default     = "arm64"
}

variable "packages_dir" {
  description = "Where `cargo xtask package` put the packages."
  type        = string
  default     = "../../../target/lambda"
}

variable "budgets" {
  description = "Budgets, as the module takes them."
  type        = any
  default = [{
    name      = "everything"
    scope     = "org"
    limit_usd = "10"
    period    = "day"
  }]
}
