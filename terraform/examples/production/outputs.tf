output "ingest_url" {
  description = "The address of the API, without a path."
  value       = module.agentledger.ingest_url
}

output "table_name" {
  description = "The ledger's table."
  value       = module.agentledger.table_name
}

output "stream_name" {
  description = "The stream."
  value       = module.agentledger.stream_name
}

output "alert_topic_arn" {
  description = "The topic of limits that are reached."
  value       = module.agentledger.alert_topic_arn
}

output "alert_topic_arns" {
  description = "The topics by severity."
  value       = module.agentledger.alert_topic_arns
}

output "dashboard_names" {
  description = "The dashboards."
  value       = module.agentledger.dashboard_names
}

output "archive_bucket" {
  description = "The bucket of the archive, for `agentledger replay --from-archive`."
  value       = module.agentledger.archive_bucket
}

output "failure_queue_urls" {
  description = "The queues of what the mappings gave up."
  value       = module.agentledger.failure_queue_urls
}

output "mapping_ids" {
  description = "The event source mappings, to pause and to resume them."
  value       = module.agentledger.mapping_ids
}
