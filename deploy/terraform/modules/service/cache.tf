# The cache evicts nothing: a missing record causes a wrong answer.

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

locals {
  cache_iam  = var.cache_auth == "iam"
  cache_user = "${var.name}-statusd"
}

# The user of deploy/redis.acl, who logs in with an IAM token.
resource "aws_elasticache_user" "statusd" {
  count = local.cache_iam ? 1 : 0

  user_id   = local.cache_user
  user_name = local.cache_user
  engine    = "valkey"
  access_string = join(" ", [
    "on ~sc:* &sc:*",
    "-@all +ping +info +time +wait +scan +multi +exec +discard +eval +evalsha +get +mget",
    "+getrange +strlen +exists +set +append +setrange +del +pttl +expire +pexpire +pexpireat",
    "+hget +hmget +hgetall +hvals +hlen +hset +hsetnx +hincrby +hdel +hexists +incr +zadd",
    "+zrem +zcard +zscore +zrange +zrevrange +zrangebyscore +zrevrangebyscore",
    "+zremrangebyrank +zremrangebyscore +rpush +lrange +lrem +ltrim +publish +subscribe",
    "+spublish +ssubscribe +asking +command +cluster|slots +cluster|nodes",
  ])
  tags = var.tags

  authentication_mode {
    type = "iam"
  }
}

# Without this user, ElastiCache would accept its own user default, who may do everything. A
# user group for Valkey must not contain a user without a password.
resource "aws_elasticache_user" "default" {
  count = local.cache_iam ? 1 : 0

  user_id       = "${var.name}-default"
  user_name     = "default"
  engine        = "valkey"
  access_string = "off -@all"
  tags          = var.tags

  authentication_mode {
    type      = "password"
    passwords = [data.aws_secretsmanager_secret_version.cache_password.secret_string]
  }
}

resource "aws_elasticache_user_group" "cache" {
  count = local.cache_iam ? 1 : 0

  user_group_id = "${var.name}-users"
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.statusd[0].user_id, aws_elasticache_user.default[0].user_id]
  tags          = var.tags
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
  auth_token                 = local.cache_iam ? null : data.aws_secretsmanager_secret_version.cache_password.secret_string
  user_group_ids             = local.cache_iam ? [aws_elasticache_user_group.cache[0].user_group_id] : null
  snapshot_retention_limit   = var.snapshot_retention_days
  final_snapshot_identifier  = "${var.name}-final"
  tags                       = var.tags
}

# The URL may contain the password, so the tasks receive it as a secret.
resource "aws_secretsmanager_secret" "redis_url" {
  name        = "${var.name}/redis-url"
  description = "REDIS_URL of the status cache"
  tags        = var.tags
}

resource "aws_secretsmanager_secret_version" "redis_url" {
  secret_id     = aws_secretsmanager_secret.redis_url.id
  secret_string = "rediss://${local.cache_iam ? local.cache_user : ":${data.aws_secretsmanager_secret_version.cache_password.secret_string}"}@${aws_elasticache_replication_group.cache.primary_endpoint_address}:6379"
}
