locals {
  # As PUT /v1/admin/budgets/NAME takes them, with the name; what is not set is left out.
  budgets = [
    for b in var.budgets : {
      for key, value in {
        name         = b.name
        scope        = b.scope
        limit_usd    = b.limit_usd
        limit_tokens = b.limit_tokens
        period       = b.period
        timezone     = b.timezone
        thresholds   = b.thresholds
        unpriced = jsondecode(
          b.assume_usd_per_token != null ? jsonencode({ assume_usd_per_token = b.assume_usd_per_token }) :
          b.unpriced != "ignore" ? jsonencode(b.unpriced) : "null"
        )
      } : key => value if value != null
    }
  ]

  sweep_event = jsonencode({ agentledger = "sweep", budgets = local.budgets })
}

resource "aws_scheduler_schedule" "sweep" {
  #checkov:skip=CKV_AWS_297:the schedule holds names and limits of budgets and no secret
  count = local.sweep == null ? 0 : 1

  name                = "${var.name}-sweep"
  description         = "AgentLedger: sets the budgets, evaluates those that are due, and sends again what was not delivered"
  schedule_expression = local.sweep

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.alerter.arn
    role_arn = aws_iam_role.schedule[0].arn
    input    = local.sweep_event

    # The next sweep does what this one did not: there is nothing to try again, and nothing to keep.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }
}

# The same at once, so that budgets hold from the end of the apply. In `direct` it is the only time. It comes after
# the mapping, by when the function's new role can be used.
resource "aws_lambda_invocation" "budgets" {
  count = length(var.budgets) == 0 ? 0 : 1

  function_name = aws_lambda_function.alerter.function_name
  input         = local.sweep_event

  depends_on = [aws_lambda_event_source_mapping.alerter, aws_lambda_event_source_mapping.aggregator]
}
