# The bucket's folders and the objects beside them: who reads and writes each of them, on which condition, and for how long
# it is kept. IAM policies, the bucket's own policy, notifications and the lifecycle are made from these tables alone.
# Nobody may delete: what is old expires.
#
# Below a folder of a rule's Lambda, everything stands under the ID of its rule: the Lambda of a rule has access only to
# <folder>/<its own ID>/.

locals {
  # `writers` may put there, and `once` says how: an object that is never replaced needs If-None-Match, one that is
  # replaced needs that or If-Match. What is `locked` is put with a retention, where object_lock asks for one.
  folders = {
    # Batches from Netskope, written by the poller. The poller reads, too: where the answer to a write was lost, it
    # compares what is stored with what it meant to store, so that a batch is stored once; and it reads those that have no
    # report yet, so that it hands on nothing a second time that is under way.
    findings = {
      readers         = ["poller", "rule", "operator", "reader", "retrier"]
      writers         = ["poller"]
      once            = true
      locked          = false
      days            = var.findings_retention_days
      noncurrent_days = 1
    }

    # A plan waits, and a report is named by later ones, for up to a week before both are stored anew: they are kept for
    # so much longer, so that what is named is there.
    plans = {
      readers         = ["rule", "approver", "operator", "reader"]
      writers         = ["rule", "operator"]
      once            = true
      locked          = true
      days            = var.record_retention_days + 7
      noncurrent_days = var.record_retention_days
    }

    reports = {
      readers         = ["rule", "approver", "operator", "reader", "retrier"]
      writers         = ["rule", "operator"]
      once            = true
      locked          = true
      days            = var.record_retention_days + 7
      noncurrent_days = var.record_retention_days
    }

    approvals = {
      readers         = ["rule", "approver", "operator", "reader", "retrier"]
      writers         = ["approver"]
      once            = true
      locked          = true
      days            = var.record_retention_days
      noncurrent_days = var.record_retention_days
    }

    # One card for each resource: who is working on it, its recent fixes, the plan that waits or a person's rejection of
    # it, the report that says how it stands, an undo's exemption.
    # Plans and reports are the record of what happened; earlier versions of a card only help to find out how a card
    # came to be as it is.
    resources = {
      readers         = ["rule", "approver", "operator", "reader"]
      writers         = ["rule", "operator"]
      once            = false
      locked          = false
      days            = local.card_days
      noncurrent_days = 30
    }

    # How many changes the runs of a day have made so far, one object for a rule and a day, and what batches that ask at the
    # same time want of it; of no use once the day is over. The command line counts its own runs in a folder of its own, so that no person can stop or free a run of a
    # Lambda.
    ledgers = {
      readers         = ["rule", "operator"]
      writers         = ["rule"]
      once            = false
      locked          = false
      days            = 30
      noncurrent_days = 1
    }

    # That an operator wrote in spite of the policy, and why: each raises an alarm (main.overrides.tf). Of no rule, because
    # a command can be of several.
    overrides = {
      readers         = ["approver", "operator"]
      writers         = ["operator"]
      once            = true
      locked          = false
      days            = var.record_retention_days
      noncurrent_days = var.record_retention_days
    }
  }

  # Objects that are in no folder, and never expire: only their earlier versions do. What people or Lambdas replace is put
  # `on_condition` that it is as it was read; what Terraform writes is not.
  objects = merge(
    {
      policy = {
        key          = "policy.json"
        readers      = ["rule", "poller", "approver", "operator", "pauser", "reader"]
        writers      = ["policy_writer"]
        on_condition = false
      }

      # The same once more. No Lambda reads it: `autoremediate policy show` compares the two, so that it can name what
      # somebody has changed by hand.
      deployed = {
        key          = "policy.deployed.json"
        readers      = ["approver", "operator", "pauser", "reader"]
        writers      = ["policy_writer"]
        on_condition = false
      }

      # When the pollers may ask Netskope, so that all of them together keep to what a tenant takes
      turns = {
        key             = "netskope-turns.json"
        readers         = ["poller"]
        writers         = ["poller"]
        on_condition    = true
        noncurrent_days = 1
      }

      # What people have paused. Terraform never writes it, so that no apply ends a pause. Who may write to the target
      # accounts may stop that, too.
      pauses = {
        key          = "pauses.json"
        readers      = ["rule", "approver", "operator", "pauser", "reader"]
        writers      = ["operator", "pauser"]
        on_condition = true
      }
    },
    # Where accounts are (main.organization.tf). It is as old as it says.
    var.organization == null ? {} : {
      organization = {
        key          = "organization.json"
        readers      = ["rule", "poller", "approver", "operator", "pauser", "reader"]
        writers      = ["poller"]
        on_condition = true
      }
    },
    # When Netskope was last asked for a rescan, where the policy asks for them
    local.policy.rescan == null ? {} : {
      rescan = {
        key          = "rescan.json"
        readers      = ["poller"]
        writers      = ["poller"]
        on_condition = true
      }
    },
  )

  # The ledgers of each rule are named one by one where others must not write, because the command line's are beside them
  undivided            = { for folder, of in local.folders : folder => of if local.prefixes[folder] != local.prefixes.ledgers }
  rule_ledgers         = [for id in keys(var.rules) : "${local.prefixes.ledgers}${id}/"]
  command_line_ledgers = "${local.prefixes.ledgers}command-line/"

  # Which fixes of a rule wait for Netskope to confirm them, beside the cards of its resources, and written by the same. The
  # poller reads this one object of each rule, and no card.
  awaited_closures = "${local.prefixes.resources}*/awaited-closures.json"

  # The name of each folder as a prefix. A folder that is not in the table is an error here.
  prefixes = { for folder in keys(local.folders) : folder => "${folder}/" }

  # S3 counts from the last write of a card, which must not expire before what it remembers: the fixes within the fight
  # window, the approval that was used, and an undo's exemption, which lasts 24 hours unless the operator asks for more.
  # The waiting plan and the earlier reports that it names are kept for record_retention_days. The 30 days are well
  # above the defaults of the policy, a window of 7 days and approvals of 72 hours.
  card_days = max(
    30,
    var.record_retention_days,
    coalesce(local.policy.fight.window_days, 0),
    ceil(coalesce(local.policy.approval_hours, 0) / 24),
  )

  # The folders of what is locked
  lockable = { for folder, of in local.folders : folder => local.prefixes[folder] if of.locked }

  # Prefixes by who may read or write below them
  readable = { for who in local.actors : who => [for folder, of in local.folders : local.prefixes[folder] if contains(of.readers, who)] }
  writable = {
    for who in local.actors : who => concat(
      who == "operator" ? [local.command_line_ledgers] : [],
      [for folder, of in local.folders : local.prefixes[folder] if contains(of.writers, who)],
    )
  }
  actors = toset(flatten([for of in concat(values(local.folders), values(local.objects)) : concat(of.readers, of.writers)]))

  # The same for the objects
  readable_objects = { for who in local.actors : who => [for of in values(local.objects) : of.key if contains(of.readers, who)] }
  replaceable      = { for who in local.actors : who => [for of in values(local.objects) : of.key if contains(of.writers, who)] }

  # Whoever reads a key that may not exist must be allowed to list the bucket, without a condition on s3:prefix:
  # otherwise S3 answers 403 and not 404, and "there is no such card" could not be told from "you may not read it". A
  # GetObject has no s3:prefix, so a permission with that condition does not count.
  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
  list_bucket = {
    Sid      = "List"
    Effect   = "Allow"
    Action   = ["s3:ListBucket"]
    Resource = [local.bucket_arn]
  }
}
