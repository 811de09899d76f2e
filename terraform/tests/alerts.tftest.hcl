# Budgets, topics, and who hears of what.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages              = { ingest = "s3://packages/ingest.zip", aggregator = "s3://packages/aggregator.zip", alerter = "s3://packages/alerter.zip" }
  authentication        = "none"
  allow_unauthenticated = true
}

run "budgets_travel_as_the_api_takes_them" {
  variables {
    budgets = [
      { name = "growth-month", scope = "team:growth", limit_usd = "100.50", period = "month", timezone = "Europe/Berlin", thresholds = [80, 100], assume_usd_per_token = "0.000002" },
      { name = "all", scope = "org", limit_tokens = 9007199254740992, period = "hour", unpriced = "block" },
      { name = "plain", scope = "agent:a", limit_usd = "1", period = "day" },
    ]
  }

  assert {
    condition = jsondecode(aws_scheduler_schedule.sweep[0].target[0].input) == {
      agentledger = "sweep"
      budgets = [
        { name = "growth-month", scope = "team:growth", limit_usd = "100.50", period = "month", timezone = "Europe/Berlin", thresholds = [80, 100], unpriced = { assume_usd_per_token = "0.000002" } },
        { name = "all", scope = "org", limit_tokens = 9007199254740992, period = "hour", timezone = "UTC", thresholds = [50, 80, 100], unpriced = "block" },
        { name = "plain", scope = "agent:a", limit_usd = "1", period = "day", timezone = "UTC", thresholds = [50, 80, 100] },
      ]
    }
    error_message = "the schedule's input holds the budgets"
  }
  assert {
    condition     = strcontains(aws_scheduler_schedule.sweep[0].target[0].input, "\"limit_usd\":\"100.50\"") && strcontains(aws_scheduler_schedule.sweep[0].target[0].input, "\"limit_tokens\":9007199254740992")
    error_message = "dollars stay text, and no number is rounded"
  }
  assert {
    condition     = aws_lambda_invocation.budgets[0].input == aws_scheduler_schedule.sweep[0].target[0].input
    error_message = "the same is sent when it is applied"
  }
}

run "without_budgets_nothing_is_sent" {
  assert {
    condition     = length(aws_lambda_invocation.budgets) == 0
    error_message = "there is nothing to set"
  }
}

run "topics_by_severity" {
  variables {
    subscriptions = [
      { protocol = "email", endpoint = "finance@example.com" },
      { protocol = "https", endpoint = "https://hooks.example.com/x", severity = "critical" },
    ]
  }

  assert {
    condition     = keys(aws_sns_topic.alerts) == ["critical", "info", "warning"] && length(distinct(values(output.alert_topic_arns))) == 3
    error_message = "there are three topics"
  }
  assert {
    condition = keys(aws_sns_topic_subscription.alerts) == [
      "email:finance@example.com:critical", "email:finance@example.com:info", "email:finance@example.com:warning", "https:https://hooks.example.com/x:critical",
    ]
    error_message = "a subscription is for its severity and what is worse"
  }
  assert {
    condition     = aws_lambda_function.alerter.environment[0].variables.AGENTLEDGER_TOPIC_WARNING == aws_sns_topic.alerts["warning"].arn && !contains(keys(aws_lambda_function.alerter.environment[0].variables), "AGENTLEDGER_TOPIC_CHAT")
    error_message = "the alerter is told the topics"
  }
}

run "one_topic" {
  variables {
    topics_by_severity = false
    subscriptions = [
      { protocol = "email", endpoint = "finance@example.com" },
      { protocol = "https", endpoint = "https://hooks.example.com/x", severity = "warning" },
    ]
  }

  assert {
    condition     = length(distinct(values(output.alert_topic_arns))) == 1 && output.alert_topic_arns.info == output.alert_topic_arn
    error_message = "all alerts go to one topic"
  }
  assert {
    condition     = aws_sns_topic_subscription.alerts["email:finance@example.com"].filter_policy == null && jsondecode(aws_sns_topic_subscription.alerts["https:https://hooks.example.com/x"].filter_policy) == { severity = ["warning", "critical", { exists = false }] }
    error_message = "who wants less filters by severity, and still gets alarms, which have none"
  }
}

run "chat" {
  variables {
    chat = {
      enabled = true
      slack   = { workspace_id = "T07EA123LEP", channel_id = "C07EZ1ABC23" }
      teams   = { team_id = "1", tenant_id = "2", channel_id = "3" }
    }
  }

  assert {
    condition     = aws_lambda_function.alerter.environment[0].variables.AGENTLEDGER_TOPIC_CHAT == aws_sns_topic.chat[0].arn && output.chat_topic_arn == aws_sns_topic.chat[0].arn
    error_message = "chat has a topic of its own"
  }
  assert {
    condition     = aws_chatbot_slack_channel_configuration.alerts[0].sns_topic_arns == toset([aws_sns_topic.chat[0].arn]) && aws_chatbot_teams_channel_configuration.alerts[0].channel_id == "3"
    error_message = "which the channels get, and no other"
  }
}
