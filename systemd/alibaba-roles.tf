# The role that neap runs as on Alibaba Cloud, or that it assumes in an account, from the policies beside
# this file.
#
#   terraform apply                                    an ECS instance that reads
#   terraform apply -var act=true                      one that sizes what carries neap:managed = true
#   terraform apply -var 'trusted=["acs:ram::1234567890123456:role/neap"]' -var external_id=f3c1
#                                                      a role in another account

terraform {
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.252.0"
    }
  }
}

variable "name" {
  description = "The name of the role."
  type        = string
  default     = "neap"
}

variable "trusted" {
  description = "ARNs that may assume the role; without any, ECS gives it to instances."
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

locals {
  principal = length(var.trusted) == 0 ? { Service = ["ecs.aliyuncs.com"] } : { RAM = var.trusted }
  condition = var.external_id == "" ? {} : {
    Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
  }
}

resource "alicloud_ram_role" "neap" {
  role_name = var.name
  assume_role_policy_document = jsonencode({
    Version = "1"
    Statement = [
      merge({ Effect = "Allow", Action = "sts:AssumeRole", Principal = local.principal }, local.condition)
    ]
  })
}

resource "alicloud_ram_policy" "observer" {
  policy_name     = "${var.name}-observer"
  policy_document = file("${path.module}/alibaba-observer-policy.json")
}

resource "alicloud_ram_role_policy_attachment" "observer" {
  policy_name = alicloud_ram_policy.observer.policy_name
  policy_type = "Custom"
  role_name   = alicloud_ram_role.neap.role_name
}

resource "alicloud_ram_policy" "actor" {
  count           = var.act ? 1 : 0
  policy_name     = "${var.name}-actor"
  policy_document = file("${path.module}/alibaba-actor-policy.json")
}

resource "alicloud_ram_role_policy_attachment" "actor" {
  count       = var.act ? 1 : 0
  policy_name = alicloud_ram_policy.actor[0].policy_name
  policy_type = "Custom"
  role_name   = alicloud_ram_role.neap.role_name
}

output "role_arn" {
  description = "What to name under accounts in neap.toml, where neap runs in another account."
  value       = alicloud_ram_role.neap.arn
}
