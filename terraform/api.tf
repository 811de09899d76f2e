locals {
  # A route for each thing that the function answers; whatever else is asked for, the gateway refuses, and it costs nothing.
  routes = toset(["POST /v1/usage"])
}

resource "aws_apigatewayv2_api" "ingest" {
  name          = var.name
  description   = "AgentLedger: usage of AI agents"
  protocol_type = "HTTP"

  tags = var.tags
}

resource "aws_apigatewayv2_integration" "ingest" {
  api_id                 = aws_apigatewayv2_api.ingest.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.ingest.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = min(var.timeout_seconds.ingest * 1000 + 500, 30000)
}

resource "aws_apigatewayv2_route" "ingest" {
  #checkov:skip=CKV_AWS_309:tokens are verified in the function, without a call; authentication = iam sets AWS_IAM here; none has to be allowed by a variable of its own
  for_each = local.routes

  api_id             = aws_apigatewayv2_api.ingest.id
  route_key          = each.value
  target             = "integrations/${aws_apigatewayv2_integration.ingest.id}"
  authorization_type = var.authentication == "iam" ? "AWS_IAM" : "NONE"
}

resource "aws_apigatewayv2_stage" "ingest" {
  #checkov:skip=CKV_AWS_76:access logs are on unless a variable turns them off
  api_id      = aws_apigatewayv2_api.ingest.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit    = var.throttle.rate_limit
    throttling_burst_limit   = var.throttle.burst_limit
    detailed_metrics_enabled = false
  }

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.api[*].arn
    content {
      destination_arn = access_log_settings.value
      # No header and nothing of a body: neither a token nor a name of an agent gets into the log.
      format = jsonencode({
        time          = "$context.requestTime"
        request_id    = "$context.requestId"
        source_ip     = "$context.identity.sourceIp"
        route         = "$context.routeKey"
        status        = "$context.status"
        bytes         = "$context.responseLength"
        latency_ms    = "$context.responseLatency"
        function_ms   = "$context.integrationLatency"
        gateway_error = "$context.error.responseType"
        error         = "$context.integrationErrorMessage"
        caller        = "$context.identity.userArn"
      })
    }
  }

  tags = var.tags
}

resource "aws_lambda_permission" "ingest" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.ingest.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.ingest.execution_arn}/*"
}
