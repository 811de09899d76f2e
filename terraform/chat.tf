# Chat applications show only messages of their own schema: so they have a topic of their own.

resource "aws_sns_topic" "chat" {
  #checkov:skip=CKV_AWS_26:as for the other topics; a key of one's own is kms_key_arns.topics
  count = var.chat.enabled ? 1 : 0

  name              = "${var.name}-chat"
  kms_master_key_id = var.kms_key_arns.topics

  tags = var.tags
}

# It may do nothing: it is there because a channel has to have a role, which who writes in the channel acts as.
resource "aws_iam_role" "chat" {
  count = var.chat.slack == null && var.chat.teams == null ? 0 : 1

  name                 = "${local.role_prefix}-chat"
  description          = "AgentLedger: the chat channels of its alerts"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "chatbot.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  tags = var.tags
}

resource "aws_chatbot_slack_channel_configuration" "alerts" {
  count = var.chat.slack == null ? 0 : 1

  configuration_name    = "${var.name}-${local.region}-slack"
  iam_role_arn          = aws_iam_role.chat[0].arn
  slack_team_id         = var.chat.slack.workspace_id
  slack_channel_id      = var.chat.slack.channel_id
  sns_topic_arns        = [aws_sns_topic.chat[0].arn]
  guardrail_policy_arns = ["arn:${local.partition}:iam::aws:policy/AWSDenyAll"]

  tags = var.tags
}

resource "aws_chatbot_teams_channel_configuration" "alerts" {
  count = var.chat.teams == null ? 0 : 1

  configuration_name    = "${var.name}-${local.region}-teams"
  iam_role_arn          = aws_iam_role.chat[0].arn
  team_id               = var.chat.teams.team_id
  tenant_id             = var.chat.teams.tenant_id
  channel_id            = var.chat.teams.channel_id
  sns_topic_arns        = [aws_sns_topic.chat[0].arn]
  guardrail_policy_arns = ["arn:${local.partition}:iam::aws:policy/AWSDenyAll"]

  tags = var.tags
}
