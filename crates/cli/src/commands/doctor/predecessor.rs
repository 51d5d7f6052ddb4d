//! Netskope's own auto-remediation stacks, from which a user may come: whether their roles are still there, and when they
//! were last used.
//!
//! The names are those of its two templates, `<name>_<region>`. Its Lambda functions have names that CloudFormation makes up,
//! so they are seen by their roles: `RoleLastUsed` says whether they still run.
//! <https://github.com/netskopeoss/CSPM-AWS-AutoRemediation>
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleLastUsed.html>

use aws_sdk_iam::Client;
use futures::StreamExt;
use futures::stream;
use remediation::Error;

use crate::commands::doctor::check::Check;

/// How many roles are asked for at the same time.
const AT_ONCE: usize = 4;
/// What the names of a rule's roles begin with.
const STEMS: [(&str, &str); 8] = [
    ("cloudtrail-unvalidated-logs", "CIS-1-2-0-2-2-CloudTrailLogFile"),
    ("iam-stale-access-key", "CIS-1-2-0-1-4-AccessKeyRotation"),
    ("network-acl-open-ingress", "BPR-0-6-NACL"),
    ("rds-public-snapshot", "BPR-3-8-RDSSnapshotsPublic"),
    ("redshift-public-cluster", "BPR-1-9-RedShiftClusterPublic"),
    ("s3-public-bucket", "BPR-1-0-0-S3BucketPublicAccess"),
    ("security-group-open-admin-port", "CIS-1-2-0-4-1-SecurityGroups"),
    ("vpc-without-flow-logs", "CIS-1-2-0-2-9-VPCFlowLogs"),
];
/// The role of its poller.
const POLLER: &str = "GetNetskopeCSPMResultsLFRole";
/// The role by which the flow logs that it made are delivered.
const DELIVERY: (&str, &str) = ("vpc-without-flow-logs", "CIS-1-2-0-2-9-VPCFlowLogsRole");
const PAGE: &str =
    "docs/from-netskopes-framework.md says how to hand over rule by rule, and how to take its stacks away";

/// Which of its two stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stack {
    /// Its poller and its Lambda functions, in the central account.
    Central,
    /// The roles that these assume, in each target account.
    Target,
}

impl Stack {
    /// The names of its roles for these rules, without their region.
    fn roles(self, rules: &[&str]) -> Vec<String> {
        let (first, suffix) = match self {
            Self::Central => (Some(POLLER), "LambdaRole"),
            Self::Target => (rules.contains(&DELIVERY.0).then_some(DELIVERY.1), "TargetRole"),
        };
        let of_rules = STEMS.iter().filter(|(rule, _)| rules.contains(rule)).map(|(_, stem)| format!("{stem}{suffix}"));
        first.map(str::to_owned).into_iter().chain(of_rules).collect()
    }

    /// Whether an account has it, for these rules and in these regions.
    pub(super) async fn look(self, iam: &Client, rules: &[&str], regions: &[String], check: Check) -> Check {
        let in_regions =
            |role: String| regions.iter().map(move |region| format!("{role}_{region}")).collect::<Vec<_>>();
        let names: Vec<_> = self.roles(rules).into_iter().flat_map(in_regions).collect();
        let looks = stream::iter(names).map(|name| Box::pin(last_use(iam, name))).buffered(AT_ONCE);
        self.judge(check, looks.collect().await)
    }

    fn judge(self, check: Check, looks: Vec<Result<Option<String>, Error>>) -> Check {
        let (mut there, mut unknown) = (Vec::new(), None);
        for look in looks {
            match look {
                Ok(role) => there.extend(role),
                Err(error) => unknown = unknown.or(Some(error)),
            }
        }
        if !there.is_empty() {
            let what = match self {
                Self::Central => "Netskope's own stack polls and fixes as well, whatever the policy here says",
                Self::Target => "Netskope's own stack can fix things here as well, whatever the policy says",
            };
            return check.warn(format!("{what}: {}", there.join(", ")), PAGE);
        }
        match unknown {
            None => check.ok("none of its roles is here"),
            Some(error) => check.skipped(format!("not known whether its roles are here: {error}")),
        }
    }
}

/// A role of this name, and when it was last used, as text; nothing where there is none.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>
async fn last_use(iam: &Client, name: String) -> Result<Option<String>, Error> {
    let answer = iam.get_role().role_name(&name).send().await;
    let answer = answer.map_err(|error| Error::api("iam:GetRole", error).gone_if(&["NoSuchEntity"]));
    match answer {
        Ok(answer) => {
            let used = answer.role.and_then(|role| role.role_last_used).and_then(|used| used.last_used_date);
            let used = used.and_then(|at| jiff::Timestamp::from_second(at.secs()).ok());
            Ok(Some(used.map_or_else(|| name.clone(), |at| format!("{name} (last used {})", at.strftime("%Y-%m-%d")))))
        }
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use remediation::ErrorKind;

    use super::*;
    use crate::commands::doctor::check::{Area, CheckResult};
    use crate::session::rules;

    #[test]
    fn every_rule_has_the_name_of_its_predecessor() {
        let every = rules::all().unwrap();
        let ids: Vec<_> = every.iter().map(|rule| rule.manifest.id.as_str()).collect();
        assert_eq!(STEMS.map(|(rule, _)| rule).to_vec(), ids);
        assert_eq!(Stack::Target.roles(&ids).len(), 9);
        assert_eq!(Stack::Central.roles(&ids).len(), 9);
        let one = ["rds-public-snapshot"];
        assert_eq!(Stack::Target.roles(&one), ["BPR-3-8-RDSSnapshotsPublicTargetRole"]);
        assert_eq!(Stack::Central.roles(&one), [POLLER, "BPR-3-8-RDSSnapshotsPublicLambdaRole"]);
    }

    #[test]
    fn terraform_lets_the_doctor_and_the_operators_ask_for_these_names_and_no_others() {
        let ids = STEMS.map(|(rule, _)| rule);
        for (stack, file) in [(Stack::Target, "target-role/main.doctor.tf"), (Stack::Central, "central/main.people.tf")]
        {
            let path = format!("{}/../../terraform/modules/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = fs::read_to_string(path).unwrap();
            let (_, listed) = text.split_once("netskope_roles = [").unwrap();
            let (listed, _) = listed.split_once(']').unwrap();
            let mut named: Vec<_> = listed.split('"').skip(1).step_by(2).map(str::to_owned).collect();
            let mut roles = stack.roles(&ids);
            named.sort();
            roles.sort();
            assert_eq!(named, roles, "{file}");
        }
    }

    #[test]
    fn a_role_that_is_there_warns_and_one_that_cannot_be_seen_is_not_taken_for_gone() {
        let check = || Check::of(Area::Account, "Netskope's own stack");
        let denied = || Err(Error::new("iam:GetRole", ErrorKind::AccessDenied, "no"));
        let there = || Ok(Some("BPR-0-6-NACLTargetRole_eu-west-1".to_owned()));
        for (looks, result, found) in [
            (vec![Ok(None), Ok(None)], CheckResult::Ok, "none"),
            (vec![Ok(None), there()], CheckResult::Warn, "BPR-0-6-NACLTargetRole_eu-west-1"),
            (vec![denied(), there()], CheckResult::Warn, "BPR-0-6-NACLTargetRole_eu-west-1"),
            (vec![Ok(None), denied()], CheckResult::Skipped, "iam:GetRole: no"),
        ] {
            let check = Stack::Target.judge(check(), looks);
            assert_eq!(check.result, result);
            assert!(check.found.unwrap().contains(found), "{found}");
        }
    }
}
