# The events of one state machine, and the service that answers from them.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

module "events" {
  source = "../../modules/events"

  state_machine_arns = var.state_machine_arns
  alarm_topic_arn    = var.alarm_topic_arn
}

module "service" {
  source = "../../modules/service"

  vpc_id                   = var.vpc_id
  load_balancer_subnet_ids = var.load_balancer_subnet_ids
  task_subnet_ids          = var.task_subnet_ids
  client_cidrs             = var.client_cidrs
  certificate_arn          = var.certificate_arn
  image                    = var.image
  image_repository_arn     = var.image_repository_arn

  queue_url          = module.events.sqs_queue_url
  queue_arn          = module.events.queue_arn
  state_machine_arns = var.state_machine_arns

  api_key_pepper_secret_arn = var.api_key_pepper_secret_arn
  cache_password_secret_arn = var.cache_password_secret_arn
  settings                  = var.settings
  alarm_topic_arn           = var.alarm_topic_arn
}
