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
  override_data {
    target = data.aws_secretsmanager_secret_version.cache_password
    values = { secret_string = "a-password-of-a-test-1" }
  }
  override_resource {
    target = aws_elasticache_replication_group.cache
    values = { id = "status", arn = "arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:status", primary_endpoint_address = "master.status.euw1.cache.amazonaws.com" }
  }
  override_resource {
    target = aws_secretsmanager_secret.redis_url
    values = { id = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:status/redis-url", arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:status/redis-url" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mocked" }
  }
  override_resource {
    target = aws_elasticache_user.statusd
    values = { arn = "arn:aws:elasticache:eu-west-1:123456789012:user:status-statusd" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/status/1", arn_suffix = "app/status/1", dns_name = "status.example.com" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/status/1", arn_suffix = "targetgroup/status/1" }
  }
  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/status/1/1" }
  }
  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/status" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/status:1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:status" }
  }
  mock_resource "aws_appautoscaling_policy" {
    defaults = { arn = "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1" }
  }
}

variables {
  vpc_id                    = "vpc-1"
  load_balancer_subnet_ids  = ["subnet-1", "subnet-2"]
  task_subnet_ids           = ["subnet-3", "subnet-4"]
  client_cidrs              = ["10.0.0.0/8"]
  certificate_arn           = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
  image                     = "example.com/statusd:1.0"
  queue_url                 = "https://sqs.eu-west-1.amazonaws.com/123456789012/status-events"
  queue_arn                 = "arn:aws:sqs:eu-west-1:123456789012:status-events"
  state_machine_arns        = ["arn:aws:states:eu-west-1:123456789012:stateMachine:Pipeline"]
  api_key_pepper_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pepper"
  cache_password_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:password"
  settings                  = { OWNER_PATH = "tenantId" }
}

run "the_cache_loses_nothing" {
  assert {
    condition     = [for p in aws_elasticache_parameter_group.cache.parameter : p.value if p.name == "maxmemory-policy"] == ["noeviction"]
    error_message = "the cache evicts records"
  }
  assert {
    condition     = aws_elasticache_replication_group.cache.num_cache_clusters == 2 && aws_elasticache_replication_group.cache.automatic_failover_enabled
    error_message = "the cache has no replica that takes over"
  }
  assert {
    condition     = aws_elasticache_replication_group.cache.transit_encryption_enabled && aws_elasticache_replication_group.cache.transit_encryption_mode == "required" && aws_elasticache_replication_group.cache.at_rest_encryption_enabled == "true"
    error_message = "the cache is not encrypted"
  }
  assert {
    condition     = startswith(aws_secretsmanager_secret_version.redis_url.secret_string, "rediss://:a-password-of-a-test-1@master.status.")
    error_message = "REDIS_URL does not use TLS and the password"
  }
}

run "ingest_has_the_shipped_rights" {
  assert {
    condition = toset(flatten([
      for s in jsondecode(aws_iam_role_policy.ingest.policy).Statement :
      [for pair in setproduct(flatten([s.Action]), flatten([s.Resource])) : join(" ", concat([s.Effect], pair))]
      ])) == toset(flatten([
      for s in jsondecode(replace(replace(replace(file("../../../iam/statusd.json"), "REGION", "eu-west-1"), "ACCOUNT", "123456789012"), ":NAME", ":Pipeline")).Statement :
      [for pair in setproduct(flatten([s.Action]), flatten([s.Resource])) : join(" ", concat([s.Effect], pair))]
    ]))
    error_message = "the rights of ingest are not those of deploy/iam/statusd.json"
  }
  assert {
    condition     = aws_ecs_task_definition.service["api"].task_role_arn == null
    error_message = "api has a role although it does not call AWS"
  }
}

run "logs_in_to_the_cache_by_iam" {
  variables {
    cache_auth = "iam"
  }

  assert {
    condition = toset([
      for pair in setproduct(flatten([jsondecode(aws_iam_policy.cache[0].policy).Statement[0].Action]), jsondecode(aws_iam_policy.cache[0].policy).Statement[0].Resource) : join(" ", pair)
      ]) == toset([
      for pair in setproduct(
        flatten([jsondecode(file("../../../iam/cache.json")).Statement[0].Action]),
        jsondecode(replace(replace(replace(replace(file("../../../iam/cache.json"), "REGION", "eu-west-1"), "ACCOUNT", "123456789012"), ":CACHE", ":status"), ":USER", ":status-statusd")).Statement[0].Resource,
      ) : join(" ", pair)
    ])
    error_message = "the rights on the cache are not those of deploy/iam/cache.json"
  }
  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.cache)) == toset(["api", "ingest"]) && alltrue([for task in aws_ecs_task_definition.service : task.task_role_arn != null])
    error_message = "a service cannot log in to the cache"
  }
  assert {
    condition     = aws_elasticache_user.statusd[0].user_id == aws_elasticache_user.statusd[0].user_name && aws_elasticache_user.statusd[0].authentication_mode[0].type == "iam"
    error_message = "the user does not log in by IAM"
  }
  assert {
    condition     = aws_elasticache_user.statusd[0].access_string == "on ~sc:* &sc:* -@all ${trimspace(split(" -@all ", file("../../../redis.acl"))[1])}"
    error_message = "the user does not have the rights of deploy/redis.acl"
  }
  assert {
    condition     = aws_elasticache_user.default[0].user_name == "default" && startswith(aws_elasticache_user.default[0].access_string, "off ")
    error_message = "the user default can log in"
  }
  assert {
    condition     = aws_elasticache_user_group.cache[0].user_ids == toset(["status-statusd", "status-default"]) && aws_elasticache_replication_group.cache.user_group_ids == toset(["status-users"]) && aws_elasticache_replication_group.cache.auth_token == null
    error_message = "the cache accepts other users"
  }
  assert {
    condition     = aws_secretsmanager_secret_version.redis_url.secret_string == "rediss://status-statusd@master.status.euw1.cache.amazonaws.com:6379"
    error_message = "REDIS_URL has a password, or another user"
  }
  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.service : length(setsubtract(["REDIS_AUTH=iam", "AWS_REGION=eu-west-1"], [for e in jsondecode(task.container_definitions)[0].environment : "${e.name}=${e.value}"])) == 0])
    error_message = "a service does not log in by IAM"
  }
}

run "refuses_another_login" {
  command = plan
  variables {
    cache_auth = "none"
  }
  expect_failures = [var.cache_auth]
}

run "secrets_are_references" {
  assert {
    condition = alltrue([
      for task in aws_ecs_task_definition.service : !strcontains(task.container_definitions, "a-password-of-a-test-1")
    ])
    error_message = "the password of the cache is in a task definition"
  }
  assert {
    condition     = toset([for s in jsondecode(aws_ecs_task_definition.service["api"].container_definitions)[0].secrets : s.name]) == toset(["REDIS_URL", "API_KEY_PEPPER"])
    error_message = "api lacks a secret"
  }
  assert {
    condition     = [for s in jsondecode(aws_ecs_task_definition.service["ingest"].container_definitions)[0].secrets : s.name] == ["REDIS_URL"]
    error_message = "ingest has more secrets than it needs"
  }
}

run "tasks" {
  assert {
    condition     = { for name, task in aws_ecs_task_definition.service : name => [for e in jsondecode(task.container_definitions)[0].environment : e.value if e.name == "ROLE"][0] } == { api = "api", ingest = "ingest" }
    error_message = "a task has another role than its name"
  }
  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.service : jsondecode(task.container_definitions)[0].stopTimeout >= 25 + 4])
    error_message = "a task is killed before it has stopped"
  }
  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.service : jsondecode(task.container_definitions)[0].healthCheck.command == ["CMD", "statusd", "healthcheck"]])
    error_message = "ECS does not check the health of a task"
  }
  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.service : jsondecode(task.container_definitions)[0].readonlyRootFilesystem && jsondecode(task.container_definitions)[0].user == "65532"])
    error_message = "a task can write to its image or runs as root"
  }
  assert {
    condition     = alltrue([for task in aws_ecs_task_definition.service : contains([for e in jsondecode(task.container_definitions)[0].environment : "${e.name}=${e.value}"], "ADMIN_ADDR=127.0.0.1:9090")])
    error_message = "metrics are not on loopback"
  }
  assert {
    condition     = alltrue([for s in aws_ecs_service.service : s.deployment_circuit_breaker[0].enable && s.deployment_circuit_breaker[0].rollback && !s.network_configuration[0].assign_public_ip])
    error_message = "a service has no circuit breaker, or a public address"
  }
  assert {
    condition     = aws_lb_target_group.api.health_check[0].path == "/v1/health"
    error_message = "the load balancer requests another path"
  }
  assert {
    condition     = length(aws_ecs_service.service["api"].load_balancer) == 1 && length(aws_ecs_service.service["ingest"].load_balancer) == 0
    error_message = "the load balancer does not lead to api alone"
  }
}

run "autoscaling" {
  assert {
    condition     = alltrue([for t in aws_appautoscaling_target.service : t.min_capacity >= 1])
    error_message = "a service can be scaled to zero"
  }
  assert {
    condition     = aws_appautoscaling_policy.api_cpu.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ECSServiceAverageCPUUtilization"
    error_message = "api is not scaled by CPU"
  }
  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.backlog : length([for q in a.metric_query : q if q.expression == "visible + inflight"]) == 1])
    error_message = "the backlog is not visible and in-flight messages"
  }
}

run "server_errors" {
  assert {
    condition     = toset(flatten([for q in aws_cloudwatch_metric_alarm.server_errors.metric_query : [for m in q.metric : m.metric_name]])) == toset(["HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "RequestCount"])
    error_message = "the alarm does not count the errors of the load balancer itself"
  }
}

run "every_node_is_watched" {
  variables {
    cache_replicas = 2
  }

  assert {
    condition     = toset(flatten([for q in aws_cloudwatch_metric_alarm.cache_engine.metric_query : [for m in q.metric : m.dimensions.CacheClusterId]])) == toset(["status-001", "status-002", "status-003"])
    error_message = "a node that can be the primary can be overloaded without an alarm"
  }
  assert {
    condition     = [for q in aws_cloudwatch_metric_alarm.cache_engine.metric_query : q.expression if q.return_data] == ["MAX([FILL(node1, 0), FILL(node2, 0), FILL(node3, 0)])"]
    error_message = "the alarm does not take the busiest node"
  }
}

run "metrics_for_prometheus" {
  variables {
    metrics_security_group_id = "sg-prometheus"
  }

  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.metrics : r.referenced_security_group_id == "sg-prometheus"]) && length(aws_vpc_security_group_ingress_rule.metrics) == 2
    error_message = "Prometheus cannot reach both services"
  }
}

run "refuses_no_ingest" {
  command = plan
  variables {
    ingest = { min_tasks = 0 }
  }
  expect_failures = [var.ingest]
}

run "refuses_a_secret_in_settings" {
  command = plan
  variables {
    settings = { API_KEY_PEPPER = "0123456789abcdef" }
  }
  expect_failures = [var.settings]
}

run "refuses_a_setting_of_the_module" {
  command = plan
  variables {
    settings = { ROLE = "all" }
  }
  expect_failures = [var.settings]
}

run "refuses_no_replica" {
  command = plan
  variables {
    cache_replicas = 0
  }
  expect_failures = [var.cache_replicas]
}

run "refuses_an_image_without_tag" {
  command = plan
  variables {
    image = "example.com:5000/statusd"
  }
  expect_failures = [var.image]
}

run "refuses_one_subnet" {
  command = plan
  variables {
    task_subnet_ids = ["subnet-3"]
  }
  expect_failures = [var.task_subnet_ids]
}
