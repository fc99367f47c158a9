# The queue, the rule and the archive only, for a statusd that runs elsewhere.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 7.0"
    }
  }
}

variable "state_machine_arns" {
  description = "ARNs of the state machines to follow."
  type        = list(string)
}

module "events" {
  source = "../../modules/events"

  state_machine_arns = var.state_machine_arns
}

output "settings" {
  description = "Settings of statusd and statusctl."
  value = {
    AWS_REGION     = module.events.aws_region
    SQS_QUEUE_URL  = module.events.sqs_queue_url
    STATE_MACHINES = module.events.state_machines
    EVENT_BUS      = module.events.event_bus
  }
}
