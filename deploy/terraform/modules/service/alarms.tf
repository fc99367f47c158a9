locals {
  alarm_actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]
  cache_nodes   = [for i in range(1 + var.cache_replicas) : "node${i + 1}"]
}

resource "aws_cloudwatch_metric_alarm" "no_healthy_task" {
  alarm_name          = "${var.name}-no-healthy-task"
  alarm_description   = "No api task is healthy. See the log group of api and the events of the service."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = aws_lb.api.arn_suffix, TargetGroup = aws_lb_target_group.api.arn_suffix }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "server_errors" {
  alarm_name          = "${var.name}-server-errors"
  alarm_description   = "More than 1 % of the answers of api and its load balancer are 5xx. See the reasons in GET /v1/health."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 1
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags

  # own are those of the balancer itself. RequestCount lacks requests for which it found no target.
  metric_query {
    id          = "percent"
    expression  = "100 * (FILL(errors, 0) + FILL(own, 0)) / (FILL(requests, 0) + FILL(own, 0))"
    label       = "server errors in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "HTTPCode_Target_5XX_Count", own = "HTTPCode_ELB_5XX_Count", requests = "RequestCount" }
    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_query.value
        dimensions  = { LoadBalancer = aws_lb.api.arn_suffix }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

# The cache evicts nothing: it refuses writes when its memory is full.
resource "aws_cloudwatch_metric_alarm" "cache_memory" {
  alarm_name          = "${var.name}-cache-memory"
  alarm_description   = "The cache is nearly full. A full cache accepts no events. Use a larger node type, or shorten RETENTION."
  namespace           = "AWS/ElastiCache"
  metric_name         = "DatabaseMemoryUsagePercentage"
  dimensions          = { CacheClusterId = "${aws_elasticache_replication_group.cache.id}-001" }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  treat_missing_data  = "missing"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

# One processor of a node runs all commands. Each node can be the primary.
resource "aws_cloudwatch_metric_alarm" "cache_engine" {
  alarm_name          = "${var.name}-cache-engine"
  alarm_description   = "Valkey uses more than 90 % of the processor that runs its commands, so reads and events wait. Use a node type with faster processors, or a cache in cluster mode (REDIS_URL=rediss+cluster://), which this module does not create."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 90
  evaluation_periods  = 5
  treat_missing_data  = "missing"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags

  metric_query {
    id          = "busiest"
    expression  = "MAX([${join(", ", formatlist("FILL(%s, 0)", local.cache_nodes))}])"
    label       = "engine of the busiest node in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.cache_nodes
    content {
      id          = metric_query.value
      return_data = false

      metric {
        namespace   = "AWS/ElastiCache"
        metric_name = "EngineCPUUtilization"
        dimensions  = { CacheClusterId = "${aws_elasticache_replication_group.cache.id}-00${metric_query.key + 1}" }
        period      = 60
        stat        = "Average"
      }
    }
  }
}
