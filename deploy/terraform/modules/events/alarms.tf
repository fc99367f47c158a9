locals {
  dead_letters = {
    "${var.name}-dead-letters" = {
      queue       = aws_sqs_queue.dead_letters.name
      description = "statusd could not decode messages. Read them with statusctl dlq list, and send them back with statusctl dlq redrive after the cause is corrected."
    }
    "${var.name}-rule-dead-letters" = {
      queue       = aws_sqs_queue.rule_dead_letters.name
      description = "EventBridge could not send events to the queue. Run statusctl doctor, correct the cause, and run statusctl dlq redrive."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.dead_letters

  alarm_name          = each.key
  alarm_description   = each.value.description
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "lost" {
  alarm_name          = "${var.name}-lost"
  alarm_description   = "EventBridge could send events neither to the queue nor to the dead-letter queue of the rule. Run statusctl doctor. The audit of statusd finds what was lost."
  namespace           = "AWS/Events"
  metric_name         = "InvocationsFailedToBeSentToDlq"
  dimensions          = merge({ RuleName = var.name }, var.event_bus_name == "default" ? {} : { EventBusName = var.event_bus_name })
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "lag" {
  alarm_name          = "${var.name}-lag"
  alarm_description   = "Events wait in the queue, so statuses are stale. Check whether ingest runs, and see the reasons in GET /v1/health."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.events.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.lag_alarm_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = var.tags
}
