# The cache evicts nothing: a record that is gone is a wrong answer.

data "aws_secretsmanager_secret_version" "cache_password" {
  secret_id = var.cache_password_secret_arn
}

resource "aws_elasticache_subnet_group" "cache" {
  name       = var.name
  subnet_ids = var.task_subnet_ids
  tags       = var.tags
}

resource "aws_elasticache_parameter_group" "cache" {
  name        = "${var.name}-noeviction"
  family      = "valkey8"
  description = "Nothing is evicted"
  tags        = var.tags

  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "cache" {
  replication_group_id       = var.name
  description                = "Records of the status cache"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = var.cache_node_type
  num_cache_clusters         = 1 + var.cache_replicas
  automatic_failover_enabled = true
  multi_az_enabled           = true
  parameter_group_name       = aws_elasticache_parameter_group.cache.name
  subnet_group_name          = aws_elasticache_subnet_group.cache.name
  security_group_ids         = [aws_security_group.cache.id]
  port                       = 6379
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  at_rest_encryption_enabled = true
  auth_token                 = data.aws_secretsmanager_secret_version.cache_password.secret_string
  snapshot_retention_limit   = var.snapshot_retention_days
  final_snapshot_identifier  = "${var.name}-final"
  tags                       = var.tags
}

# The address has the password in it, so it reaches the tasks as a secret.
resource "aws_secretsmanager_secret" "redis_url" {
  name        = "${var.name}/redis-url"
  description = "REDIS_URL of the status cache"
  tags        = var.tags
}

resource "aws_secretsmanager_secret_version" "redis_url" {
  secret_id     = aws_secretsmanager_secret.redis_url.id
  secret_string = "rediss://:${data.aws_secretsmanager_secret_version.cache_password.secret_string}@${aws_elasticache_replication_group.cache.primary_endpoint_address}:6379"
}
