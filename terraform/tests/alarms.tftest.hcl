# Each alarm says what to do, and reaches somebody.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages              = { ingest = "s3://packages/ingest.zip", aggregator = "s3://packages/aggregator.zip", alerter = "s3://packages/alerter.zip" }
  authentication        = "none"
  allow_unauthenticated = true
  archive               = { enabled = true }
  watched_agents        = ["researcher-7", "planner-1"]
  alarm_action_arns     = ["arn:aws:ssm-incidents::123456789012:response-plan/agentledger"]
}

run "the_runbook_has_an_entry_for_each" {
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.metric), values(aws_cloudwatch_metric_alarm.expression)) : contains(
        [for heading in regexall("(?m)^### Alarm: ([a-z0-9 -]+)$", file("${path.root}/../docs/operations.md")) : "docs/operations.md#alarm-${replace(heading[0], " ", "-")}"],
        regex("Runbook: ([^ ]+)$", alarm.alarm_description)[0]
      )
    ])
    error_message = "an alarm names an entry that docs/operations.md does not have"
  }
  assert {
    condition = alltrue([
      for heading in regexall("(?m)^### Alarm: ([a-z0-9 -]+)$", file("${path.root}/../docs/operations.md")) : anytrue([
        for alarm in concat(values(aws_cloudwatch_metric_alarm.metric), values(aws_cloudwatch_metric_alarm.expression)) :
        endswith(alarm.alarm_description, "#alarm-${replace(heading[0], " ", "-")}")
      ])
    ])
    error_message = "docs/operations.md has an entry of an alarm that there is not"
  }
}

run "what_is_watched" {
  assert {
    condition = alltrue([
      for name in [
        "aggregator-iterator-age", "aggregator-iterator-age-critical", "alerter-iterator-age", "alerter-iterator-age-critical",
        "aggregator-failures", "alerter-failures", "ingest-errors", "aggregator-errors", "alerter-errors", "ingest-throttles",
        "aggregator-throttles", "alerter-throttles", "stream-throttles", "table-read-throttles", "table-write-throttles", "api-5xx",
        "ledger-lag", "rejected", "conflicts", "quarantined", "critical-alert-delivery", "archive-delay", "silence-researcher-7", "silence-planner-1",
      ] : contains(keys(aws_cloudwatch_metric_alarm.metric), name)
    ]) && contains(keys(aws_cloudwatch_metric_alarm.expression), "unpriced-share")
    error_message = "an alarm is missing"
  }
  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.metric) :
      (alarm.alarm_actions == toset([output.alert_topic_arns.warning, var.alarm_action_arns[0]]) || alarm.alarm_actions == toset([output.alert_topic_arns.critical, var.alarm_action_arns[0]])) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "an alarm goes to the topic of its severity, and so does its end"
  }
  assert {
    condition     = toset([for name, alarm in aws_cloudwatch_metric_alarm.metric : name if contains(alarm.alarm_actions, output.alert_topic_arns.critical)]) == toset(["aggregator-iterator-age-critical", "alerter-iterator-age-critical", "aggregator-failures", "alerter-failures", "quarantined"])
    error_message = "critical is what loses events"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["aggregator-iterator-age-critical"].threshold == 43200000
    error_message = "at half of what the stream keeps"
  }
}

run "silence" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["silence-researcher-7"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.metric["silence-researcher-7"].dimensions.AgentId == "researcher-7" && aws_cloudwatch_metric_alarm.metric["silence-researcher-7"].comparison_operator == "LessThanThreshold"
    error_message = "no metric is the silence of an agent"
  }
  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.metric : alarm.treat_missing_data == "notBreaching" if !startswith(name, "silence-")])
    error_message = "and nothing else's alarm"
  }
}

run "elsewhere" {
  variables {
    runbook           = "https://wiki.example.com/agentledger"
    metrics_namespace = "Prod/AgentLedger"
    name              = "Ledger2"
  }

  assert {
    condition     = endswith(aws_cloudwatch_metric_alarm.metric["rejected"].alarm_description, " Runbook: https://wiki.example.com/agentledger#alarm-rejected")
    error_message = "the runbook can be elsewhere"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["rejected"].namespace == "Prod/AgentLedger" && aws_lambda_function.aggregator.environment[0].variables.AGENTLEDGER_METRICS_NAMESPACE == "Prod/AgentLedger"
    error_message = "the namespace is the same where metrics are written and read"
  }
}

run "dashboards" {
  assert {
    condition     = alltrue([for d in aws_cloudwatch_dashboard.this : alltrue([for w in jsondecode(d.dashboard_body).widgets : w.x + w.width <= 24 && w.properties.region == "eu-central-1" && length(w.properties.metrics) > 0])])
    error_message = "widgets are within the page, and show something"
  }
  assert {
    condition     = alltrue([for d in aws_cloudwatch_dashboard.this : length(distinct([for w in jsondecode(d.dashboard_body).widgets : "${w.x},${w.y}"])) == length(jsondecode(d.dashboard_body).widgets)])
    error_message = "no two widgets are in one place"
  }
  assert {
    condition     = alltrue([for what in ["TokenCost", "Tokens", "SpendToDate", "CacheReadTokens", "TasksSucceeded", "AgentId", "Model", "TeamId"] : strcontains(aws_cloudwatch_dashboard.this["engineers"].dashboard_body, what)])
    error_message = "engineers see cost, tokens, spenders, cache hits and cost per task"
  }
  assert {
    condition     = alltrue([for what in ["IngestToLedgerLag", "IteratorAge", "Errors", "Throttles", "ApproximateNumberOfMessagesVisible", "ConsumedWriteCapacityUnits"] : strcontains(aws_cloudwatch_dashboard.this["sres"].dashboard_body, what)])
    error_message = "SREs see lag, errors, throttles, dead letters and cost"
  }
}
