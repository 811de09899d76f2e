output "ingest_url" {
  description = "The address of the API, without a path."
  value       = module.agentledger.ingest_url
}

output "table_name" {
  description = "The ledger's table."
  value       = module.agentledger.table_name
}

output "stream_name" {
  description = "The stream; null in `direct`."
  value       = module.agentledger.stream_name
}

output "alert_topic_arn" {
  description = "The topic that every alert goes to."
  value       = module.agentledger.alert_topic_arn
}

output "dashboard_names" {
  description = "The dashboards; empty in `direct`."
  value       = module.agentledger.dashboard_names
}

output "function_names" {
  description = "The functions."
  value       = module.agentledger.function_names
}

output "mapping_ids" {
  description = "The event source mappings."
  value       = module.agentledger.mapping_ids
}

output "failure_queue_urls" {
  description = "The queues of what the mappings gave up."
  value       = module.agentledger.failure_queue_urls
}

output "metrics_namespace" {
  description = "The namespace of the metrics."
  value       = module.agentledger.metrics_namespace
}
