# What AWS would answer where a test, or the provider's own checks, look at it.

mock_data "aws_region" {
  defaults = { id = "eu-central-1" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:eu-central-1:123456789012:table/AgentLedger"
    stream_arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/AgentLedger/stream/1"
  }
}

mock_resource "aws_kinesis_stream" {
  defaults = { arn = "arn:aws:kinesis:eu-central-1:123456789012:stream/AgentLedger" }
}

mock_resource "aws_kinesis_firehose_delivery_stream" {
  defaults = { arn = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/archive" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::archive" }
}

mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:failures" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:topic" }
}

override_resource {
  target = aws_sns_topic.alerts["info"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:info" }
}

override_resource {
  target = aws_sns_topic.alerts["warning"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:warning" }
}

override_resource {
  target = aws_sns_topic.alerts["critical"]
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:critical" }
}

override_resource {
  target = aws_sns_topic.chat
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:chat" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/role" }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn        = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:function/invocations"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:group" }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = {
    api_endpoint  = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
    execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5"
  }
}
