mock_provider "aws" {
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws" }
  }
  override_data {
    target = data.aws_region.current
    values = { id = "eu-west-1" }
  }
  override_data {
    target = data.aws_caller_identity.current
    values = { account_id = "123456789012" }
  }
  override_resource {
    target = aws_sqs_queue.events
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:status-events", id = "https://sqs.eu-west-1.amazonaws.com/123456789012/status-events" }
  }
  override_resource {
    target = aws_sqs_queue.dead_letters
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:status-events-dlq" }
  }
  override_resource {
    target = aws_sqs_queue.rule_dead_letters
    values = { arn = "arn:aws:sqs:eu-west-1:123456789012:status-events-rule-dlq" }
  }
}

variables {
  state_machine_arns = [
    "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline",
    "arn:aws:states:eu-west-1:123456789012:stateMachine:Second",
  ]
}

run "the_path_is_whole" {
  assert {
    condition     = aws_cloudwatch_event_target.queue.arn == aws_sqs_queue.events.arn
    error_message = "the rule does not send to the queue"
  }
  assert {
    condition     = aws_cloudwatch_event_target.queue.dead_letter_config[0].arn == aws_sqs_queue.rule_dead_letters.arn
    error_message = "events that the rule cannot send are lost"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.events.redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead_letters.arn
    error_message = "the queue has no dead-letter queue"
  }
  assert {
    condition     = tolist(jsondecode(aws_cloudwatch_event_rule.events.event_pattern).detail.stateMachineArn[*].prefix) == var.state_machine_arns
    error_message = "the rule does not match all state machines"
  }
  assert {
    condition     = aws_cloudwatch_event_archive.events[0].event_pattern == aws_cloudwatch_event_rule.events.event_pattern
    error_message = "the archive contains other events than the rule sends"
  }
  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.dead_letters, aws_sqs_queue.rule_dead_letters] : queue.message_retention_seconds > aws_sqs_queue.events.message_retention_seconds])
    error_message = "dead letters expire before the messages of the queue"
  }
}

run "only_the_rule_may_send" {
  assert {
    condition = alltrue([
      for policy in [aws_sqs_queue_policy.events.policy, aws_sqs_queue_policy.rule_dead_letters.policy] :
      [for s in jsondecode(policy).Statement : s.Condition.ArnEquals["aws:SourceArn"] if s.Effect == "Allow"] == ["arn:aws:events:eu-west-1:123456789012:rule/status-events"]
    ])
    error_message = "senders other than the rule may send"
  }
  assert {
    condition = alltrue([
      for policy in [aws_sqs_queue_policy.events.policy, aws_sqs_queue_policy.dead_letters.policy, aws_sqs_queue_policy.rule_dead_letters.policy] :
      [for s in jsondecode(policy).Statement : s.Condition.Bool["aws:SecureTransport"] if s.Effect == "Deny"] == ["false"]
    ])
    error_message = "a queue accepts plain HTTP"
  }
  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.events, aws_sqs_queue.dead_letters, aws_sqs_queue.rule_dead_letters] : queue.sqs_managed_sse_enabled])
    error_message = "a queue is not encrypted"
  }
}

run "outputs_are_the_settings" {
  assert {
    condition = { url = output.sqs_queue_url, machines = output.state_machines, bus = output.event_bus, region = output.aws_region } == {
      url      = "https://sqs.eu-west-1.amazonaws.com/123456789012/status-events"
      machines = "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline,arn:aws:states:eu-west-1:123456789012:stateMachine:Second"
      bus      = "default"
      region   = "eu-west-1"
    }
    error_message = "the outputs are not the settings of statusd"
  }
}

run "another_bus" {
  variables {
    event_bus_name = "hub"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_policy.events.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"] == "arn:aws:events:eu-west-1:123456789012:rule/hub/status-events"
    error_message = "the policy does not name the rule on the other bus"
  }
  assert {
    condition     = aws_cloudwatch_event_archive.events[0].event_source_arn == "arn:aws:events:eu-west-1:123456789012:event-bus/hub"
    error_message = "the archive is of another bus"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.lost.dimensions == tomap({ RuleName = "status-events", EventBusName = "hub" })
    error_message = "the alarm does not see the rule on the other bus"
  }
}

run "alarms_notify" {
  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:oncall"
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.dead_letters), [aws_cloudwatch_metric_alarm.lost, aws_cloudwatch_metric_alarm.lag]) :
      alarm.alarm_actions == toset([var.alarm_topic_arn])
    ])
    error_message = "an alarm notifies nobody"
  }
}

run "no_archive" {
  variables {
    archive_days = 0
  }

  assert {
    condition     = length(aws_cloudwatch_event_archive.events) == 0 && output.archive_name == null
    error_message = "there is an archive"
  }
}

run "archive_of_terminal_states" {
  variables {
    archive_events = "terminal"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_archive.events[0].event_pattern).detail.status == ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    error_message = "the archive contains states that are not terminal"
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_archive.events[0].event_pattern).detail.stateMachineArn == jsondecode(aws_cloudwatch_event_rule.events.event_pattern).detail.stateMachineArn
    error_message = "the archive is of other state machines than the rule"
  }
  assert {
    condition     = !can(jsondecode(aws_cloudwatch_event_rule.events.event_pattern).detail.status)
    error_message = "the rule sends terminal states only"
  }
}

run "refuses_another_archive" {
  command = plan
  variables {
    archive_events = "RUNNING"
  }
  expect_failures = [var.archive_events]
}

run "refuses_no_state_machine" {
  command = plan
  variables {
    state_machine_arns = []
  }
  expect_failures = [var.state_machine_arns]
}

run "refuses_a_version" {
  command = plan
  variables {
    state_machine_arns = ["arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline:1"]
  }
  expect_failures = [var.state_machine_arns]
}

run "refuses_more_than_a_pattern_holds" {
  command = plan
  variables {
    state_machine_arns = [for i in range(30) : "arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline${i}"]
  }
  expect_failures = [var.state_machine_arns]
}

run "refuses_retention_of_dead_letters" {
  command = plan
  variables {
    message_retention_seconds = 1209600
  }
  expect_failures = [var.message_retention_seconds]
}

run "refuses_the_arn_of_a_bus" {
  command = plan
  variables {
    event_bus_name = "arn:aws:events:eu-west-1:123456789012:event-bus/hub"
  }
  expect_failures = [var.event_bus_name]
}

run "refuses_a_long_name" {
  command = plan
  variables {
    name = "a234567890123456789012345678901234567890123456789"
  }
  expect_failures = [var.name]
}
