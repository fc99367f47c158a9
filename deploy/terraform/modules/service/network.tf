# Each part may reach only what it needs.

resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "Load balancer of the status cache"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_security_group" "task" {
  for_each = toset(["api", "ingest", "operator"]) # operator: for the host that runs statusctl

  name        = "${var.name}-${each.key}"
  description = "${each.key} of the status cache"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_security_group" "cache" {
  name        = "${var.name}-cache"
  description = "Cache of the status cache"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = toset(var.client_cidrs)

  security_group_id = aws_security_group.load_balancer.id
  description       = "clients"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "load_balancer_to_api" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "api"
  referenced_security_group_id = aws_security_group.task["api"].id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_vpc_security_group_ingress_rule" "api_from_load_balancer" {
  security_group_id            = aws_security_group.task["api"].id
  description                  = "load balancer"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = toset(var.metrics_security_group_id == null ? [] : ["api", "ingest"])

  security_group_id            = aws_security_group.task[each.key].id
  description                  = "metrics"
  referenced_security_group_id = var.metrics_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 9090
  to_port                      = 9090
}

resource "aws_vpc_security_group_egress_rule" "task_to_https" {
  for_each = aws_security_group.task

  security_group_id = each.value.id
  description       = "AWS and the token issuer"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "task_to_cache" {
  for_each = aws_security_group.task

  security_group_id            = each.value.id
  description                  = "cache"
  referenced_security_group_id = aws_security_group.cache.id
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}

resource "aws_vpc_security_group_ingress_rule" "cache_from_task" {
  for_each = aws_security_group.task

  security_group_id            = aws_security_group.cache.id
  description                  = each.key
  referenced_security_group_id = each.value.id
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}
