output "sqs_queue_url" {
  description = "SQS_QUEUE_URL of statusd."
  value       = aws_sqs_queue.events.id
}

output "state_machines" {
  description = "STATE_MACHINES of statusd."
  value       = join(",", var.state_machine_arns)
}

output "event_bus" {
  description = "EVENT_BUS of statusctl."
  value       = var.event_bus_name
}

output "aws_region" {
  description = "AWS_REGION of statusd."
  value       = data.aws_region.current.id
}

output "queue_arn" {
  description = "ARN of the queue."
  value       = aws_sqs_queue.events.arn
}

output "dead_letter_queue_url" {
  description = "URL of the queue for messages that statusd could not decode."
  value       = aws_sqs_queue.dead_letters.id
}

output "rule_dead_letter_queue_url" {
  description = "URL of the queue for events that EventBridge could not send."
  value       = aws_sqs_queue.rule_dead_letters.id
}

output "rule_arn" {
  description = "ARN of the rule."
  value       = aws_cloudwatch_event_rule.events.arn
}

output "archive_name" {
  description = "Name of the archive, for statusctl replay --archive; null if there is none."
  value       = one(aws_cloudwatch_event_archive.events[*].name)
}
