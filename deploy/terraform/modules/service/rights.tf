data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  assume = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:*" }
      }
    }]
  })

  executions = [for arn in var.state_machine_arns : replace(arn, ":stateMachine:", ":execution:")]
}

# Starts the tasks.
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  description        = "Starts the tasks of the status cache"
  assume_role_policy = local.assume
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = [for group in aws_cloudwatch_log_group.service : "${group.arn}:*"]
        },
        {
          Sid      = "ReadSecrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = [aws_secretsmanager_secret.redis_url.arn, var.api_key_pepper_secret_arn]
        },
      ],
      [for arn in var.image_repository_arn[*] : {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [arn]
      }],
      [for arn in var.image_repository_arn[*] : {
        Sid      = "LogInToECR"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      }],
    )
  })
}

# The api tasks do not call AWS. They have a role only for logging in to the cache by IAM.
resource "aws_iam_role" "api" {
  count = local.cache_iam ? 1 : 0

  name               = "${var.name}-api"
  description        = "api of the status cache"
  assume_role_policy = local.assume
  tags               = var.tags
}

resource "aws_iam_role" "ingest" {
  name               = "${var.name}-ingest"
  description        = "ingest of the status cache"
  assume_role_policy = local.assume
  tags               = var.tags
}

# The rights of deploy/iam/statusd.json.
resource "aws_iam_role_policy" "ingest" {
  name = "ingest"
  role = aws_iam_role.ingest.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "TakeStatusEvents"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        Resource = [var.queue_arn]
      },
      {
        Sid      = "CountDeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:GetQueueAttributes"]
        Resource = ["${var.queue_arn}-dlq"]
      },
      {
        Sid      = "ListExecutions"
        Effect   = "Allow"
        Action   = ["states:ListExecutions"]
        Resource = var.state_machine_arns
      },
      {
        Sid      = "DescribeExecutions"
        Effect   = "Allow"
        Action   = ["states:DescribeExecution"]
        Resource = flatten([for arn in local.executions : ["${arn}:*", "${arn}/*"]])
      },
    ]
  })
}

# The rights of deploy/iam/cache.json, for both services and for operators.
resource "aws_iam_policy" "cache" {
  count = local.cache_iam ? 1 : 0

  name        = "${var.name}-cache"
  description = "Lets its roles log in to the cache of the status cache"
  tags        = var.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "LogInToTheCache"
      Effect = "Allow"
      Action = "elasticache:Connect"
      Resource = [
        aws_elasticache_replication_group.cache.arn,
        aws_elasticache_user.statusd[0].arn,
      ]
    }]
  })
}

resource "aws_iam_role_policy_attachment" "cache" {
  for_each = local.cache_iam ? { api = aws_iam_role.api[0].name, ingest = aws_iam_role.ingest.name } : {}

  role       = each.value
  policy_arn = aws_iam_policy.cache[0].arn
}
