# What is refused. A run is refused by every variable that it names; that each is refused for its reason is what the
# variable's other values, which pass elsewhere, show.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages              = { ingest = "s3://packages/ingest.zip", aggregator = "s3://packages/aggregator.zip", alerter = "s3://packages/alerter.zip" }
  authentication        = "none"
  allow_unauthenticated = true
}

run "a_typed_default_is_enough" {
  command = plan
}

run "names_and_choices" {
  command = plan
  variables {
    name                     = "no spaces"
    profile                  = "fast"
    packages                 = { ingest = "no/such.zip", aggregator = "s3://packages/a.zip", alerter = "s3://packages/b.zip" }
    architecture             = "riscv"
    stream_mode              = "SOMETIMES"
    shard_count              = 0
    stream_retention_hours   = 23
    late_days                = 0
    log_level                = "loud"
    log_retention_days       = 31
    permissions_boundary_arn = "boundary"
    kms_key_arns             = { table = "alias/mine" }
    metrics_namespace        = "AWS/Mine"
    metric_agents            = -1
    silence_hours            = 25
    runbook                  = "docs/operations.md#top"
    sweep_schedule           = "rate(1 minutes)"
    alarm_action_arns        = ["pager"]
    watched_agents           = ["a", "a"]
    token_audience           = "two words"
    table_name               = "a b"
  }
  expect_failures = [
    var.name, var.profile, var.packages, var.architecture, var.stream_mode, var.shard_count, var.stream_retention_hours,
    var.late_days, var.log_level, var.log_retention_days, var.permissions_boundary_arn, var.kms_key_arns, var.metrics_namespace,
    var.metric_agents, var.silence_hours, var.runbook, var.sweep_schedule, var.alarm_action_arns, var.watched_agents, var.token_audience,
    var.table_name,
  ]
}

run "ranges" {
  command = plan
  variables {
    aggregator_batching  = { batch_size = 10001 }
    alerter_batching     = { window_seconds = 301 }
    memory_mb            = { ingest = 127 }
    timeout_seconds      = { ingest = 30 }
    reserved_concurrency = { ingest = -2 }
    archive              = { enabled = true, infrequent_after_days = 29 }
    throttle             = { rate_limit = 0 }
    prices_usd           = { kinesis_gb_in = -1 }
    lanes                = 0
  }
  expect_failures = [
    var.aggregator_batching, var.alerter_batching, var.memory_mb, var.timeout_seconds, var.reserved_concurrency, var.archive, var.throttle,
    var.prices_usd, var.lanes,
  ]
}

run "settings_that_contradict_each_other" {
  command = plan
  variables {
    profile             = "direct"
    archive             = { enabled = true }
    aggregator_batching = { window_seconds = 0, batch_size = 100 }
    alerter_batching    = { parallelization = 11 }
    chat                = { slack = { workspace_id = "T07EA123LEP", channel_id = "C07EZ1ABC23" } }
    subscriptions       = [{ protocol = "https", endpoint = "http://hooks.example.com" }]
  }
  expect_failures = [var.archive, var.aggregator_batching, var.alerter_batching, var.chat, var.subscriptions]
}

run "alarms_that_would_always_sound" {
  command = plan
  variables {
    aggregator_batching = { window_seconds = 120 }
    subscriptions       = [{ protocol = "email", endpoint = "finance@example.com", severity = "loud" }]
  }
  expect_failures = [var.alarm_thresholds, var.subscriptions]
}

run "a_shard_without_a_lane" {
  command = plan
  variables {
    stream_mode = "PROVISIONED"
    shard_count = 4
    lanes       = 3

    alarm_thresholds = { unpriced_percent = 101 }
  }
  expect_failures = [var.lanes, var.alarm_thresholds]
}

run "nobody_writes_without_saying_who" {
  command = plan
  variables {
    allow_unauthenticated = false
  }
  expect_failures = [var.authentication]
}

run "tokens_need_keys" {
  command = plan
  variables {
    authentication = "token"
  }
  expect_failures = [var.authentication]
}

run "iam_needs_principals" {
  command = plan
  variables {
    authentication = "iam"
  }
  expect_failures = [var.authentication]
}

run "keys_are_public_and_principals_are_roles" {
  command = plan
  variables {
    public_keys = ["-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n"]
    principals  = { "arn:aws:sts::123456789012:assumed-role/researcher/session" = { agents = ["a"] } }
  }
  expect_failures = [var.public_keys, var.principals]
}

run "a_principal_writes_for_somebody" {
  command = plan
  variables {
    principals = { "arn:aws:iam::123456789012:role/researcher" = { agents = [] } }
  }
  expect_failures = [var.principals]
}

run "a_budget_has_one_limit" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "1", limit_tokens = 1, period = "day" }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_limit_is_exact" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "1e3", period = "day" }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_limit_is_above_zero" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "0.00", period = "day" }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_scope" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "user:x", limit_usd = "1", period = "day" }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_period" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "1", period = "year" }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_zone" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "1", period = "day", timezone = "CET+1" }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_thresholds" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "1", period = "day", thresholds = [50, 0] }]
  }
  expect_failures = [var.budgets]
}

run "a_budgets_name" {
  command = plan
  variables {
    budgets = [{ name = "b#1", scope = "org", limit_usd = "1", period = "day" }]
  }
  expect_failures = [var.budgets]
}

run "budgets_have_names_of_their_own" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_usd = "1", period = "day" }, { name = "b", scope = "org", limit_usd = "2", period = "day" }]
  }
  expect_failures = [var.budgets]
}

run "tokens_have_no_assumed_price" {
  command = plan
  variables {
    budgets = [{ name = "b", scope = "org", limit_tokens = 1, period = "day", assume_usd_per_token = "0.1" }]
  }
  expect_failures = [var.budgets]
}
