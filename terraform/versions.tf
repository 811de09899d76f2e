terraform {
  # 1.9 lets a validation name other variables, which the checks between settings need.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.90"
    }
  }
}
