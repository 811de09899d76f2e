# The smallest deployment: anybody who knows its address may write, so it is for a look, not for use.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.90"
    }
  }
}

provider "aws" {
  region = var.region
}

module "agentledger" {
  source = "../.."

  name         = var.name
  profile      = var.profile
  architecture = var.architecture
  packages = {
    for function in ["ingest", "aggregator", "alerter"] : function => "${var.packages_dir}/${function}-${var.architecture}.zip"
  }

  authentication        = "none"
  allow_unauthenticated = true

  # One topic, so that whoever subscribes to it gets every alert.
  topics_by_severity = false
  budgets            = var.budgets

  # So that `terraform destroy` leaves nothing.
  deletion_protection = false
  log_retention_days  = 7
}
