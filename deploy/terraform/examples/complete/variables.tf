variable "region" {
  description = "Region of the state machines."
  type        = string
}

variable "state_machine_arns" {
  description = "ARNs of the state machines to follow."
  type        = list(string)
}

variable "vpc_id" {
  description = "VPC for all resources."
  type        = string
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer."
  type        = list(string)
}

variable "task_subnet_ids" {
  description = "Private subnets of the tasks and of the cache."
  type        = list(string)
}

variable "client_cidrs" {
  description = "Ranges of addresses that may connect."
  type        = list(string)
}

variable "certificate_arn" {
  description = "ARN of the certificate of the load balancer."
  type        = string
}

variable "image" {
  description = "Image of statusd, with a tag or a digest."
  type        = string
}

variable "image_repository_arn" {
  description = "ARN of the ECR repository of the image; null: the image is public."
  type        = string
  default     = null
}

variable "api_key_pepper_secret_arn" {
  description = "ARN of the secret with API_KEY_PEPPER."
  type        = string
}

variable "cache_password_secret_arn" {
  description = "ARN of the secret with the password of the cache."
  type        = string
}

variable "settings" {
  description = "Further settings of statusd."
  type        = map(string)
  default     = {}
}

variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that receives alarms; null: none."
  type        = string
  default     = null
}
