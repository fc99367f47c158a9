output "url" {
  description = "URL of the load balancer. Point the DNS name in the certificate to it."
  value       = "https://${aws_lb.api.dns_name}"
}

output "load_balancer_zone_id" {
  description = "Hosted zone of the load balancer, for an alias record."
  value       = aws_lb.api.zone_id
}

output "cluster_name" {
  description = "ECS cluster."
  value       = aws_ecs_cluster.status.name
}

output "service_names" {
  description = "ECS services, by role."
  value       = { for role, service in aws_ecs_service.service : role => service.name }
}

output "redis_url_secret_arn" {
  description = "Secret with REDIS_URL, for statusctl."
  value       = aws_secretsmanager_secret.redis_url.arn
}

output "operator_security_group_id" {
  description = "Security group that may reach the cache, for the host on which you run statusctl."
  value       = aws_security_group.task["operator"].id
}

output "cache_policy_arn" {
  description = "Policy for the role with which operators run statusctl, so that they can log in to the cache; null unless cache_auth is iam."
  value       = one(aws_iam_policy.cache[*].arn)
}
