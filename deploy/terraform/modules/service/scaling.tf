resource "aws_appautoscaling_target" "service" {
  for_each = local.services

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.status.name}/${aws_ecs_service.service[each.key].name}"
  min_capacity       = each.value.size.min_tasks
  max_capacity       = each.value.size.max_tasks
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "api_cpu" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.service["api"].service_namespace
  scalable_dimension = aws_appautoscaling_target.service["api"].scalable_dimension
  resource_id        = aws_appautoscaling_target.service["api"].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "ingest_backlog" {
  for_each = {
    backlog-high = { cooldown = 120, steps = [{ lower = 0, upper = 9000, add = 1 }, { lower = 9000, upper = null, add = 3 }] }
    backlog-low  = { cooldown = 300, steps = [{ lower = null, upper = 0, add = -1 }] }
  }

  name               = each.key
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.service["ingest"].service_namespace
  scalable_dimension = aws_appautoscaling_target.service["ingest"].scalable_dimension
  resource_id        = aws_appautoscaling_target.service["ingest"].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    cooldown                = each.value.cooldown
    metric_aggregation_type = "Average"

    dynamic "step_adjustment" {
      for_each = each.value.steps
      content {
        metric_interval_lower_bound = step_adjustment.value.lower
        metric_interval_upper_bound = step_adjustment.value.upper
        scaling_adjustment          = step_adjustment.value.add
      }
    }
  }
}

# Messages in flight count as well: they are unfinished work of a task.
resource "aws_cloudwatch_metric_alarm" "backlog" {
  for_each = {
    backlog-high = { description = "Adds ingest tasks. Nobody needs to act.", comparison = "GreaterThanOrEqualToThreshold", threshold = 1000, minutes = 2 }
    backlog-low  = { description = "Removes ingest tasks. The state is ALARM while the queue is short, which is normal. Nobody needs to act.", comparison = "LessThanOrEqualToThreshold", threshold = 100, minutes = 15 }
  }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  evaluation_periods  = each.value.minutes
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.ingest_backlog[each.key].arn]
  tags                = var.tags

  metric_query {
    id          = "backlog"
    expression  = "visible + inflight"
    label       = "backlog"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { visible = "ApproximateNumberOfMessagesVisible", inflight = "ApproximateNumberOfMessagesNotVisible" }
    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = split(":", var.queue_arn)[5] }
        period      = 60
        stat        = "Average"
      }
    }
  }
}
