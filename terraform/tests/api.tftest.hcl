# Who may write.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  packages = { ingest = "s3://packages/ingest.zip", aggregator = "s3://packages/aggregator.zip", alerter = "s3://packages/alerter.zip" }
}

run "tokens" {
  variables {
    public_keys = [
      <<-PEM
      -----BEGIN PUBLIC KEY-----
      MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
      -----END PUBLIC KEY-----
      PEM
      , "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
    ]
  }

  assert {
    condition     = aws_lambda_function.ingest.environment[0].variables.AGENTLEDGER_PUBLIC_KEYS == "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE= MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    error_message = "keys are the base64 of their PEM, separated by spaces"
  }
  assert {
    condition     = aws_lambda_function.ingest.environment[0].variables.AGENTLEDGER_AUTH == "token" && aws_lambda_function.ingest.environment[0].variables.AGENTLEDGER_AUDIENCE == "agentledger"
    error_message = "the function verifies tokens for its audience"
  }
  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.ingest : route.authorization_type == "NONE"])
    error_message = "the function, not the gateway, asks for the token"
  }
}

run "iam" {
  variables {
    authentication = "iam"
    principals = {
      "arn:aws:iam::123456789012:role/researcher" = { agents = ["researcher-*"], team = "growth" }
      "arn:aws:iam::123456789012:role/gateway"    = { agents = ["*"] }
    }
  }

  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.ingest : route.authorization_type == "AWS_IAM"])
    error_message = "the gateway verifies the signature"
  }
  assert {
    condition = jsondecode(aws_lambda_function.ingest.environment[0].variables.AGENTLEDGER_PRINCIPALS) == {
      "arn:aws:iam::123456789012:role/researcher" = { agents = ["researcher-*"], team = "growth" }
      "arn:aws:iam::123456789012:role/gateway"    = { agents = ["*"] }
    }
    error_message = "the function knows whom a principal may write for"
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.ingest.environment[0].variables), "AGENTLEDGER_PUBLIC_KEYS")
    error_message = "and takes no tokens"
  }
}

run "limits_and_logs" {
  variables {
    authentication        = "none"
    allow_unauthenticated = true
    throttle              = { rate_limit = 20 }
  }

  assert {
    condition     = aws_apigatewayv2_stage.ingest.default_route_settings[0].throttling_rate_limit == 20 && aws_apigatewayv2_stage.ingest.default_route_settings[0].throttling_burst_limit == 1000
    error_message = "the API is throttled"
  }
  assert {
    condition     = length(aws_apigatewayv2_stage.ingest.access_log_settings) == 1 && !strcontains(lower(aws_apigatewayv2_stage.ingest.access_log_settings[0].format), "authorization")
    error_message = "requests are logged, without their tokens"
  }
  assert {
    condition     = aws_apigatewayv2_integration.ingest.payload_format_version == "2.0" && toset([for route in aws_apigatewayv2_route.ingest : route.route_key]) == toset(["POST /v1/usage"])
    error_message = "the route is the contract's"
  }
}
