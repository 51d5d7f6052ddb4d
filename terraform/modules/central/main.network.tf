# How the Lambdas reach AWS and Netskope: from a VPC, by a proxy, with a CA of one's own. All of it is null by default.

locals {
  network_environment = merge(
    { for proxy in var.proxy[*] : "HTTPS_PROXY" => proxy.https_proxy },
    { for proxy in var.proxy[*] : "NO_PROXY" => join(",", sort(proxy.no_proxy)) if length(proxy.no_proxy) > 0 },
    { for bundle in var.ca_bundle[*] : "AWS_CA_BUNDLE" => bundle.path },
  )

  # Lambda itself makes and removes a function's network interfaces, in the name of the function's role. The function's
  # code never does, so the role denies it these calls: a call from the code carries lambda:SourceFunctionArn, and one
  # that Lambda makes does not.
  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
  network_interface_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]
  network_statements = {
    for key, condition in local.own_functions : key => [
      for statement in [
        {
          Sid    = "MakeInterface"
          Effect = "Allow"
          Action = ["ec2:CreateNetworkInterface"]
          # A subnet that is shared with this account is its owner's
          Resource = concat(
            ["arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*"],
            [for id in sort(flatten([for vpc in var.vpc[*] : tolist(vpc.subnet_ids)])) : "arn:${local.partition}:ec2:${local.region}:*:subnet/${id}"],
            [for id in sort(flatten([for vpc in var.vpc[*] : tolist(vpc.security_group_ids)])) : "arn:${local.partition}:ec2:${local.region}:*:security-group/${id}"],
          )
        },
        {
          Sid      = "UseInterface"
          Effect   = "Allow"
          Action   = ["ec2:AssignPrivateIpAddresses", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses"]
          Resource = ["arn:${local.partition}:ec2:${local.region}:${local.account}:*/*"] # what AWS asks for
        },
        {
          Sid      = "FindInterface"
          Effect   = "Allow"
          Action   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
          Resource = ["*"] # they know no resources
        },
        {
          Sid       = "NotTheCode"
          Effect    = "Deny"
          Action    = local.network_interface_actions
          Resource  = ["*"]
          Condition = condition
        },
      ] : jsonencode(statement) if var.vpc != null
    ]
  }
}
