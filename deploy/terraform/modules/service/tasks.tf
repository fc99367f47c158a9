locals {
  services = {
    api = {
      size    = var.api
      role    = one(aws_iam_role.api[*].arn)
      ports   = [{ containerPort = 8080, protocol = "tcp" }]
      own     = local.cache_iam ? { AWS_REGION = data.aws_region.current.id } : {}
      secrets = { API_KEY_PEPPER = var.api_key_pepper_secret_arn }
      # One connection for each of 80,000 waiting clients, and half as many files for everything else.
      ulimits = [{ name = "nofile", softLimit = 131072, hardLimit = 131072 }]
    }
    ingest = {
      size    = var.ingest
      role    = aws_iam_role.ingest.arn
      ports   = []
      own     = { AWS_REGION = data.aws_region.current.id, SQS_QUEUE_URL = var.queue_url }
      secrets = {}
      ulimits = []
    }
  }

  common_settings = merge(var.settings, local.cache_iam ? { REDIS_AUTH = "iam" } : {}, {
    STATE_MACHINES = join(",", var.state_machine_arns)
    ADMIN_ADDR     = var.metrics_security_group_id == null ? "127.0.0.1:9090" : ":9090"
  })
}

resource "aws_cloudwatch_log_group" "service" {
  for_each = toset(keys(local.services))

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_ecs_cluster" "status" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "service" {
  for_each = local.services

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.size.cpu
  memory                   = each.value.size.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = each.value.role
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  container_definitions = jsonencode([{
    name                   = "statusd"
    image                  = var.image
    essential              = true
    user                   = "65532"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    # Longer than a stop takes: SHUTDOWN_TIMEOUT, 25 seconds, and up to 4 for parts that are late.
    stopTimeout = 40
    # The health check fails only if a restart helps, never because the cache does not answer.
    healthCheck  = { command = ["CMD", "statusd", "healthcheck"], interval = 10, timeout = 5, retries = 3, startPeriod = 60 }
    ulimits      = each.value.ulimits
    portMappings = each.value.ports
    environment = [
      for name, value in merge(local.common_settings, each.value.own, { ROLE = each.key }) : { name = name, value = value }
    ]
    secrets = [
      for name, arn in merge(each.value.secrets, { REDIS_URL = aws_secretsmanager_secret.redis_url.arn }) : { name = name, valueFrom = arn }
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.service[each.key].name
        awslogs-region        = data.aws_region.current.id
        awslogs-stream-prefix = "statusd"
      }
    }
  }])
}

resource "aws_ecs_service" "service" {
  for_each = local.services

  name                               = each.key
  cluster                            = aws_ecs_cluster.status.id
  launch_type                        = "FARGATE"
  task_definition                    = aws_ecs_task_definition.service[each.key].arn
  desired_count                      = each.value.size.min_tasks
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = each.key == "api" ? 60 : null
  availability_zone_rebalancing      = "ENABLED"
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    assign_public_ip = false
    subnets          = var.task_subnet_ids
    security_groups  = [aws_security_group.task[each.key].id]
  }

  dynamic "load_balancer" {
    for_each = each.key == "api" ? [1] : []
    content {
      container_name   = "statusd"
      container_port   = 8080
      target_group_arn = aws_lb_target_group.api.arn
    }
  }

  # ECS refuses a service whose target group no listener uses yet. Without the secret, no task
  # starts. Without the rights, no task becomes ready.
  depends_on = [aws_lb_listener.https, aws_secretsmanager_secret_version.redis_url, aws_iam_role_policy.execution, aws_iam_role_policy.ingest, aws_iam_role_policy_attachment.cache]

  lifecycle {
    ignore_changes = [desired_count] # autoscaling sets it
  }
}
