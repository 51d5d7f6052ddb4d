# The roles of people: for each rule, one that takes a fix back, and one that can only look.
#
# Only an undo opens again what a fix has closed, and only people undo. So no role that a Lambda may assume can do it: the
# rule's own has nothing that only an undo needs.

locals {
  undo_rules   = length(var.operator_role_arns) > 0 ? var.rules : {}
  reader_rules = length(var.reader_role_arns) > 0 ? var.rules : {}
}

resource "aws_iam_role" "undo" {
  for_each = local.undo_rules

  name                 = "${local.role_names[each.key]}-undo"
  description          = "autoremediate: takes back what the rule ${each.key} did in this account"
  path                 = "/"
  max_session_duration = 3600
  permissions_boundary = local.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust_policies["${each.key}-undo"]
}

resource "aws_iam_role_policy" "undo" {
  for_each = local.undo_rules

  name = "manifest"
  role = aws_iam_role.undo[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.statements[each.key].read, local.statements[each.key].undo)
  })
}

resource "aws_iam_role" "reader" {
  for_each = local.reader_rules

  name                 = "${local.role_names[each.key]}-reader"
  description          = "autoremediate: what the rule ${each.key} looks at in this account"
  path                 = "/"
  max_session_duration = 3600
  permissions_boundary = local.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust_policies["${each.key}-reader"]
}

resource "aws_iam_role_policy" "reader" {
  for_each = local.reader_rules

  name = "manifest"
  role = aws_iam_role.reader[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements[each.key].read
  })
}
