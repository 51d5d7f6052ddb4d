# How the Lambdas reach AWS and Netskope.

mock_provider "aws" {
  source = "../../tests/mocks"
}

run "by_default_no_vpc_no_proxy_and_no_ca" {
  assert {
    condition     = alltrue([for function in aws_lambda_function.function : length(function.vpc_config) == 0 && length(function.layers) == 0])
    error_message = "A function is in a VPC, or has a layer."
  }

  assert {
    condition     = alltrue([for policy in local.function_policies : !strcontains(policy, "ec2:")])
    error_message = "A role may do something in EC2."
  }

  assert {
    condition = alltrue([
      for function in aws_lambda_function.function :
      length(setintersection(keys(function.environment[0].variables), ["HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE"])) == 0
    ])
    error_message = "A function's environment says how to reach the network."
  }
}

run "in_a_vpc" {
  variables {
    vpc = { subnet_ids = ["subnet-22222222", "subnet-11111111"], security_group_ids = ["sg-0123456789abcdef0"] }
  }

  assert {
    condition = length(aws_lambda_function.function) == 3 && alltrue([
      for function in aws_lambda_function.function :
      function.vpc_config[0].subnet_ids == toset(["subnet-11111111", "subnet-22222222"]) &&
      function.vpc_config[0].security_group_ids == toset(["sg-0123456789abcdef0"])
    ])
    error_message = "A function is not in the VPC."
  }

  # Whole, for each function: what Lambda does in the name of the role, and its own code never
  assert {
    condition = alltrue([
      for key in ["poller", "first-rule", "second-rule"] : [
        for statement in jsondecode(aws_iam_role_policy.function[key].policy).Statement : statement if strcontains(jsonencode(statement), "ec2:")
        ] == [
        { Sid = "MakeInterface", Effect = "Allow", Action = ["ec2:CreateNetworkInterface"], Resource = [
          "arn:aws:ec2:eu-west-1:111111111111:network-interface/*",
          "arn:aws:ec2:eu-west-1:*:subnet/subnet-11111111",
          "arn:aws:ec2:eu-west-1:*:subnet/subnet-22222222",
          "arn:aws:ec2:eu-west-1:*:security-group/sg-0123456789abcdef0",
        ] },
        { Sid = "UseInterface", Effect = "Allow", Action = ["ec2:AssignPrivateIpAddresses", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses"], Resource = ["arn:aws:ec2:eu-west-1:111111111111:*/*"] },
        { Sid = "FindInterface", Effect = "Allow", Action = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"], Resource = ["*"] },
        { Sid = "NotTheCode", Effect = "Deny", Action = [
          "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
          ], Resource = ["*"], Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-1:111111111111:function:autoremediate-${key}" } }
        },
      ]
    ])
    error_message = "The policy is ${aws_iam_role_policy.function["first-rule"].policy}."
  }

  # What is allowed is what is denied to the code
  assert {
    condition     = toset(flatten([for statement in local.network_statements["poller"] : jsondecode(statement).Action if jsondecode(statement).Effect == "Allow"])) == toset(local.network_interface_actions)
    error_message = "The code may do what only Lambda has to, or Lambda may not."
  }
}

run "by_a_proxy_that_inspects_tls" {
  variables {
    proxy     = { https_proxy = "http://proxy.example.com:3128", no_proxy = ["s3.eu-west-1.amazonaws.com", "10.0.0.0/8", "[fd00::1]:443", ".internal"] }
    ca_bundle = { layer_arn = "arn:aws:lambda:eu-west-1:222222222222:layer:ca:3", path = "/opt/certs/ca.pem" }
  }

  assert {
    condition = length(aws_lambda_function.function) == 3 && alltrue([
      for function in aws_lambda_function.function :
      function.environment[0].variables.HTTPS_PROXY == "http://proxy.example.com:3128" &&
      function.environment[0].variables.NO_PROXY == ".internal,10.0.0.0/8,[fd00::1]:443,s3.eu-west-1.amazonaws.com" &&
      function.environment[0].variables.AWS_CA_BUNDLE == "/opt/certs/ca.pem" &&
      function.layers == tolist(["arn:aws:lambda:eu-west-1:222222222222:layer:ca:3"]) && length(function.vpc_config) == 0
    ])
    error_message = "A function's environment is ${jsonencode(aws_lambda_function.function["poller"].environment[0].variables)}."
  }
}

run "a_proxy_for_everything" {
  command = plan

  variables {
    proxy = { https_proxy = "https://[fd00::1]", no_proxy = [] }
  }

  assert {
    condition     = !contains(keys(aws_lambda_function.function["poller"].environment[0].variables), "NO_PROXY")
    error_message = "A variable is empty, which Lambda refuses."
  }
}

run "a_layer_of_another_region" {
  command = plan

  variables {
    ca_bundle = { layer_arn = "arn:aws:lambda:eu-central-1:111111111111:layer:ca:1", path = "/opt/ca.pem" }
  }

  expect_failures = [aws_lambda_function.function]
}

run "more_exceptions_than_an_environment_holds" {
  command = plan

  variables {
    proxy = { https_proxy = "http://proxy.example.com:3128", no_proxy = [for n in range(100) : "service-${n}.eu-west-1.amazonaws.com"] }
  }

  expect_failures = [aws_lambda_function.function]
}

run "refused_1" {
  command = plan

  variables {
    vpc       = { subnet_ids = [], security_group_ids = ["sg-01234567"] }
    proxy     = { https_proxy = "http://user:password@proxy.example.com:3128", no_proxy = [] } # anybody who may read the function would see it
    ca_bundle = { layer_arn = "arn:aws:lambda:eu-west-1:111111111111:layer:ca", path = "/opt/ca.pem" }
  }

  expect_failures = [var.vpc, var.proxy, var.ca_bundle]
}

run "refused_2" {
  command = plan

  variables {
    vpc       = { subnet_ids = ["subnet-01234567"], security_group_ids = [] }
    proxy     = { https_proxy = "proxy.example.com:3128", no_proxy = [] }
    ca_bundle = { layer_arn = "arn:aws:lambda:eu-west-1:111111111111:layer:ca:1", path = "/etc/ssl/ca.pem" }
  }

  expect_failures = [var.vpc, var.proxy, var.ca_bundle]
}

run "refused_3" {
  command = plan

  variables {
    vpc       = { subnet_ids = ["vpc-01234567"], security_group_ids = ["sg-01234567"] }
    proxy     = { https_proxy = "http://proxy.example.com:3128/path", no_proxy = [] }
    ca_bundle = { layer_arn = "arn:aws:lambda:eu-west-1:111111111111:layer:ca:1", path = "/opt/../etc/ca.pem" }
  }

  expect_failures = [var.vpc, var.proxy, var.ca_bundle]
}

run "refused_4" {
  command = plan

  variables {
    vpc   = { subnet_ids = ["subnet-01234567"], security_group_ids = ["default"] }
    proxy = { https_proxy = "http://proxy.example.com:3128", no_proxy = ["https://s3.amazonaws.com"] }
  }

  expect_failures = [var.vpc, var.proxy]
}

run "refused_5" {
  command = plan

  variables {
    proxy = { https_proxy = "http://proxy.example.com:3128", no_proxy = ["a.example, b.example"] } # two in one
  }

  expect_failures = [var.proxy]
}
