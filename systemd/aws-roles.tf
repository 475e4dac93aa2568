# The role that neap runs as on AWS, or that it assumes in an account, from the policies beside this file.
#
#   terraform apply                                    an EC2 instance that reads
#   terraform apply -var act=true                      one that sizes what carries neap:managed = true
#   terraform apply -var 'trusted=["arn:aws:iam::111122223333:role/neap"]' -var external_id=f3c1
#                                                      a role in another account

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "name" {
  description = "The name of the role."
  type        = string
  default     = "neap"
}

variable "trusted" {
  description = "ARNs that may assume the role; without any, EC2 gives it to instances."
  type        = list(string)
  default     = []
}

variable "external_id" {
  description = "The external id that whoever assumes the role has to name; none where it is empty."
  type        = string
  default     = ""
}

variable "act" {
  description = "Whether neap may size, stop, start and mark what carries the tag neap:managed = true."
  type        = bool
  default     = false
}

data "aws_partition" "current" {}

locals {
  # The policies are written for the partition aws.
  own_arns = "arn:${data.aws_partition.current.partition}:"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = length(var.trusted) == 0 ? "Service" : "AWS"
      identifiers = length(var.trusted) == 0 ? ["ec2.amazonaws.com"] : var.trusted
    }

    dynamic "condition" {
      for_each = var.external_id == "" ? [] : [var.external_id]

      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "neap" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "observer" {
  name   = "neap-observer"
  role   = aws_iam_role.neap.id
  policy = replace(file("${path.module}/aws-observer-policy.json"), "arn:aws:", local.own_arns)
}

resource "aws_iam_role_policy" "actor" {
  count  = var.act ? 1 : 0
  name   = "neap-actor"
  role   = aws_iam_role.neap.id
  policy = replace(file("${path.module}/aws-actor-policy.json"), "arn:aws:", local.own_arns)
}

resource "aws_iam_instance_profile" "neap" {
  count = length(var.trusted) == 0 ? 1 : 0
  name  = var.name
  role  = aws_iam_role.neap.name
}

output "role_arn" {
  description = "What to name under accounts in neap.toml, where neap runs in another account."
  value       = aws_iam_role.neap.arn
}
