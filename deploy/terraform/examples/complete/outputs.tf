output "url" {
  description = "URL of the load balancer."
  value       = module.service.url
}

output "sqs_queue_url" {
  description = "SQS_QUEUE_URL, for statusctl doctor."
  value       = module.events.sqs_queue_url
}

output "redis_url_secret_arn" {
  description = "Secret with REDIS_URL, for statusctl."
  value       = module.service.redis_url_secret_arn
}

output "operator_security_group_id" {
  description = "Security group for the host on which you run statusctl."
  value       = module.service.operator_security_group_id
}
