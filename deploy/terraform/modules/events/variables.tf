variable "name" {
  description = "Name of the queue, the rule and the archive."
  type        = string
  default     = "status-events"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,48}$", var.name))
    error_message = "name must be 1 to 48 letters, digits, hyphens and underscores."
  }
}

variable "state_machine_arns" {
  description = "ARNs of the state machines to follow."
  type        = list(string)

  validation {
    condition = length(var.state_machine_arns) > 0 && alltrue([
      for arn in var.state_machine_arns : can(regex("^arn:[a-z-]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]{1,80}$", arn))
    ])
    error_message = "state_machine_arns must be ARNs of state machines, without a version or alias, and at least one."
  }

  # EventBridge refuses longer patterns.
  validation {
    condition     = 112 + length(jsonencode([for arn in var.state_machine_arns : { prefix = arn }])) <= 2048
    error_message = "state_machine_arns do not fit into an EventBridge pattern, which has at most 2048 characters."
  }
}

variable "event_bus_name" {
  description = "Event bus on which the events arrive. Step Functions sends to the default bus of its own account and region. Any other bus must already exist; rules forward the events to it."
  type        = string
  default     = "default"

  validation {
    condition     = can(regex("^[.A-Za-z0-9_-]{1,256}$", var.event_bus_name))
    error_message = "event_bus_name must be the name of a bus in this account and region, not its ARN."
  }
}

variable "message_retention_seconds" {
  description = "Seconds for which the queue keeps events while statusd is stopped."
  type        = number
  default     = 345600

  # The age of a dead letter counts from the time when the message was sent, and dead
  # letters are kept for 14 days.
  validation {
    condition     = var.message_retention_seconds >= 3600 && var.message_retention_seconds <= 1123200
    error_message = "message_retention_seconds must be from 3600 (an hour) to 1123200 (13 days)."
  }
}

variable "archive_days" {
  description = "Days for which the archive keeps events for statusctl replay; 0: no archive. Events contain inputs and outputs."
  type        = number
  default     = 30

  validation {
    condition     = var.archive_days >= 0 && var.archive_days <= 3650 && floor(var.archive_days) == var.archive_days
    error_message = "archive_days must be a whole number from 0 to 3650."
  }
}

variable "archive_events" {
  description = "Which events the archive keeps: all, or terminal for the ends of executions only, which halves its cost. A replay then does not restore running executions; the audit does."
  type        = string
  default     = "all"

  validation {
    condition     = contains(["all", "terminal"], var.archive_events)
    error_message = "archive_events must be all or terminal."
  }
}

variable "lag_alarm_seconds" {
  description = "The alarm is raised when the oldest event in the queue is older than this, in seconds."
  type        = number
  default     = 300

  validation {
    condition     = var.lag_alarm_seconds >= 60
    error_message = "lag_alarm_seconds must be at least 60."
  }
}

variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that receives alarms; null: the alarms notify nobody."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_topic_arn == null || can(regex("^arn:[a-z-]+:sns:", var.alarm_topic_arn))
    error_message = "alarm_topic_arn must be the ARN of an SNS topic."
  }
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
