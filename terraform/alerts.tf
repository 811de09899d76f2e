locals {
  severities  = ["info", "warning", "critical"]
  topic_names = var.topics_by_severity ? { for severity in local.severities : severity => severity } : { alerts = "alerts" }
  topic_arns = {
    for severity in local.severities : severity => aws_sns_topic.alerts[var.topics_by_severity ? severity : "alerts"].arn
  }

  # A subscription is for its severity and what is worse.
  wanted = {
    for s in var.subscriptions : "${s.protocol}:${s.endpoint}" => slice(local.severities, index(local.severities, s.severity), 3)
  }
  subscriptions = merge([
    for s in var.subscriptions : var.topics_by_severity ? {
      for severity in local.wanted["${s.protocol}:${s.endpoint}"] : "${s.protocol}:${s.endpoint}:${severity}" => {
        protocol = s.protocol, endpoint = s.endpoint, topic = severity, filter = null
      }
      } : {
      "${s.protocol}:${s.endpoint}" = {
        protocol = s.protocol, endpoint = s.endpoint, topic = "alerts"
        # Alarms have no attributes, and are wanted by everybody.
        filter = s.severity == "info" ? null : jsonencode({ severity = concat(local.wanted["${s.protocol}:${s.endpoint}"], [{ exists = false }]) })
      }
    }
  ]...)
}

resource "aws_sns_topic" "alerts" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic under AWS's own key; a key of one's own is kms_key_arns.topics, and costs by the month
  for_each = local.topic_names

  name              = "${var.name}-${each.value}"
  kms_master_key_id = var.kms_key_arns.topics

  tags = var.tags
}

resource "aws_sns_topic_subscription" "alerts" {
  for_each = local.subscriptions

  topic_arn     = aws_sns_topic.alerts[each.value.topic].arn
  protocol      = each.value.protocol
  endpoint      = each.value.endpoint
  filter_policy = each.value.filter
}
