variable "name" {
  description = "Name of all resources."
  type        = string
  default     = "status"

  # The name of the load balancer has the shortest limit, and -api is added to it.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,26}[a-z0-9]$", var.name)) && !startswith(var.name, "internal-") && !strcontains(var.name, "--")
    error_message = "name must be 2 to 28 lower-case letters, digits and single hyphens. It must begin with a letter, but not with internal-."
  }
}

variable "vpc_id" {
  description = "VPC for all resources."
  type        = string

  validation {
    condition     = can(regex("^vpc-", var.vpc_id))
    error_message = "vpc_id must be the id of a VPC, such as vpc-0a1b2c3d."
  }
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer in at least two zones; public ones where internal is false."
  type        = list(string)

  validation {
    condition     = length(distinct(var.load_balancer_subnet_ids)) >= 2
    error_message = "load_balancer_subnet_ids must be at least two subnets."
  }
}

variable "task_subnet_ids" {
  description = "Private subnets of the tasks and of the cache in at least two zones. They need a route to SQS, Step Functions, CloudWatch Logs, Secrets Manager and the image registry."
  type        = list(string)

  validation {
    condition     = length(distinct(var.task_subnet_ids)) >= 2
    error_message = "task_subnet_ids must be at least two subnets."
  }
}

variable "internal" {
  description = "Whether only the VPC and connected networks can reach the load balancer."
  type        = bool
  default     = true
}

variable "client_cidrs" {
  description = "Ranges of addresses that may connect to the load balancer."
  type        = list(string)

  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for range in var.client_cidrs : can(cidrnetmask(range))])
    error_message = "client_cidrs must be IPv4 ranges, such as 10.0.0.0/8, and at least one."
  }
}

variable "certificate_arn" {
  description = "ARN of the certificate of the load balancer. There is no listener without TLS."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:(acm|iam):", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in ACM or IAM."
  }
}

variable "image" {
  description = "Image of statusd, with a tag or, preferably, a digest. Its entry point must be statusd."
  type        = string

  validation {
    condition     = can(regex("^\\S+[:@][^/\\s]+$", var.image))
    error_message = "image must have a tag or a digest."
  }
}

variable "image_repository_arn" {
  description = "ARN of the ECR repository that the image is in; null: the image is public."
  type        = string
  default     = null
}

variable "cpu_architecture" {
  description = "Processor of the tasks: ARM64 or X86_64."
  type        = string
  default     = "ARM64"

  validation {
    condition     = contains(["ARM64", "X86_64"], var.cpu_architecture)
    error_message = "cpu_architecture must be ARM64 or X86_64."
  }
}

variable "queue_url" {
  description = "Output sqs_queue_url of the module events."
  type        = string
}

variable "queue_arn" {
  description = "Output queue_arn of the module events."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.queue_arn))
    error_message = "queue_arn must be the ARN of a standard queue."
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
}

variable "api_key_pepper_secret_arn" {
  description = "ARN of a secret that contains only API_KEY_PEPPER. API keys are not valid with another pepper."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:", var.api_key_pepper_secret_arn))
    error_message = "api_key_pepper_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

variable "cache_password_secret_arn" {
  description = "ARN of a secret that contains only the password of the cache: 16 to 128 letters and digits. The state of Terraform contains the password as well. With cache_auth = iam it is the password of the user default, who cannot log in."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:", var.cache_password_secret_arn))
    error_message = "cache_password_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

variable "cache_auth" {
  description = "How statusd logs in to the cache. password: with cache_password_secret_arn. iam: with tokens that the roles of its tasks sign, as a user with only the rights it needs."
  type        = string
  default     = "password"

  validation {
    condition     = contains(["password", "iam"], var.cache_auth)
    error_message = "cache_auth must be password or iam."
  }
}

variable "settings" {
  description = "Further settings of statusd for both services, such as { JWT_ISSUER = \"https://…\", OWNER_PATH = \"tenantId\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.settings), ["REDIS_URL", "API_KEY_PEPPER"])) == 0
    error_message = "settings must not contain REDIS_URL or API_KEY_PEPPER: they are secrets."
  }
  validation {
    condition     = length(setintersection(keys(var.settings), ["ROLE", "LISTEN_ADDR", "REDIS_AUTH", "ADMIN_ADDR", "SQS_QUEUE_URL", "STATE_MACHINES", "SHUTDOWN_TIMEOUT"])) == 0
    error_message = "settings must not contain ROLE, LISTEN_ADDR, REDIS_AUTH, ADMIN_ADDR, SQS_QUEUE_URL, STATE_MACHINES or SHUTDOWN_TIMEOUT: the module sets them."
  }
}

variable "cache_node_type" {
  description = "Type of the cache nodes. Its memory must hold all executions of RETENTION."
  type        = string
  default     = "cache.m7g.large"
}

variable "cache_replicas" {
  description = "Replicas of the cache. An event is deleted from the queue only after a replica has it."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 3, 4, 5], var.cache_replicas)
    error_message = "cache_replicas must be 1 to 5."
  }
}

variable "snapshot_retention_days" {
  description = "Days for which daily snapshots are kept; 0: none. They contain hashes of API keys, inputs and outputs."
  type        = number
  default     = 7

  validation {
    condition     = var.snapshot_retention_days >= 0 && var.snapshot_retention_days <= 35
    error_message = "snapshot_retention_days must be 0 to 35."
  }
}

variable "api" {
  description = "Size of the api tasks: CPU units, MiB, and the fewest and most tasks. A waiting client needs about 9 kB."
  type = object({
    cpu       = optional(number, 1024)
    memory    = optional(number, 2048)
    min_tasks = optional(number, 2)
    max_tasks = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.api.min_tasks >= 1 && var.api.max_tasks >= var.api.min_tasks
    error_message = "api.min_tasks must be at least 1, and api.max_tasks not less."
  }
}

variable "ingest" {
  description = "Size of the ingest tasks: CPU units, MiB, and the fewest and most tasks. Without a task, statuses do not change and nothing is audited."
  type = object({
    cpu       = optional(number, 512)
    memory    = optional(number, 1024)
    min_tasks = optional(number, 1)
    max_tasks = optional(number, 4)
  })
  default = {}

  validation {
    condition     = var.ingest.min_tasks >= 1 && var.ingest.max_tasks >= var.ingest.min_tasks
    error_message = "ingest.min_tasks must be at least 1, and ingest.max_tasks not less."
  }
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 30
}

variable "metrics_security_group_id" {
  description = "Security group of the Prometheus that may read port 9090 of the tasks; null: the port listens on loopback only."
  type        = string
  default     = null
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

variable "deletion_protection" {
  description = "Whether the load balancer is protected from deletion. To delete it, turn this off first."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}
