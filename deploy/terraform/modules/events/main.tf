# Brings the status events of Step Functions into a queue for statusd: the queue, its
# dead-letter queues, the EventBridge rule, an archive for replays, and alarms.
#
# Names, attributes and descriptions are those of statusctl provision, so that it and
# statusctl doctor accept these resources unchanged.

data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  # ARNs are built from names, because the policy of a queue and the rule that sends to
  # the queue depend on each other.
  place     = "${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}"
  bus_arn   = "arn:${data.aws_partition.current.partition}:events:${local.place}:event-bus/${var.event_bus_name}"
  rule_path = var.event_bus_name == "default" ? var.name : "${var.event_bus_name}/${var.name}"
  rule_arn  = "arn:${data.aws_partition.current.partition}:events:${local.place}:rule/${local.rule_path}"

  # The prefix also matches the children of a Distributed Map, whose ARN is ARN/LABEL.
  machines = { stateMachineArn = [for arn in var.state_machine_arns : { prefix = arn }] }
  terminal = { status = ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"] }
  events   = { source = ["aws.states"], detail-type = ["Step Functions Execution Status Change"] }
  pattern  = jsonencode(merge(local.events, { detail = local.machines }))

  archive_pattern = jsonencode(merge(local.events, {
    detail = merge(local.machines, { for name, value in local.terminal : name => value if var.archive_events == "terminal" })
  }))

  # Events have no signature that statusd could check, so only the rule may send.
  let_the_rule_send = {
    Sid       = "LetTheRuleSend"
    Effect    = "Allow"
    Principal = { Service = "events.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arn } }
  }
  deny_plain_http = {
    Sid       = "DenyPlainHTTP"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }

  alarm_actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]
}

resource "aws_sqs_queue" "events" {
  name = var.name
  # statusd extends it while it works on a message.
  visibility_timeout_seconds = 30
  receive_wait_time_seconds  = 20
  message_retention_seconds  = var.message_retention_seconds
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 5
  })
  tags = var.tags
}

# Messages that statusd cannot decode.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dlq"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

# Events that EventBridge could not send to the queue.
resource "aws_sqs_queue" "rule_dead_letters" {
  name                      = "${var.name}-rule-dlq"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(local.let_the_rule_send, { Resource = aws_sqs_queue.events.arn }),
      merge(local.deny_plain_http, { Resource = aws_sqs_queue.events.arn }),
    ]
  })
}

resource "aws_sqs_queue_policy" "rule_dead_letters" {
  queue_url = aws_sqs_queue.rule_dead_letters.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      merge(local.let_the_rule_send, { Resource = aws_sqs_queue.rule_dead_letters.arn }),
      merge(local.deny_plain_http, { Resource = aws_sqs_queue.rule_dead_letters.arn }),
    ]
  })
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(local.deny_plain_http, { Resource = aws_sqs_queue.dead_letters.arn })]
  })
}

resource "aws_cloudwatch_event_rule" "events" {
  name           = var.name
  description    = "Status changes of Step Functions executions, for the status cache"
  event_bus_name = var.event_bus_name
  event_pattern  = local.pattern
  state          = "ENABLED"
  tags           = var.tags
}

resource "aws_cloudwatch_event_target" "queue" {
  rule           = aws_cloudwatch_event_rule.events.name
  event_bus_name = var.event_bus_name
  target_id      = var.name
  arn            = aws_sqs_queue.events.arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.rule_dead_letters.arn
  }

  # Nothing is sent before the queues accept it.
  depends_on = [aws_sqs_queue_policy.events, aws_sqs_queue_policy.rule_dead_letters]
}

resource "aws_cloudwatch_event_archive" "events" {
  count = var.archive_days > 0 ? 1 : 0

  name             = var.name
  description      = "Status changes to replay into the status cache"
  event_source_arn = local.bus_arn
  event_pattern    = local.archive_pattern
  retention_days   = var.archive_days
}
