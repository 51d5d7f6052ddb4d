//! A target account: its roles, who may assume them, what they may do, the runbooks, and what Netskope's own stacks left.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};
use aws_sdk_sts::config::{Credentials, IdentityCache, SharedCredentialsProvider};
use futures::StreamExt;
use futures::stream;
use percent_encoding::percent_decode_str;
use remediation::{
    Access as SessionAccess, AccountId, Error, ErrorKind, Manifest, Permission, Policy, Region, RunId,
    SERVICE_ROLE_SUFFIX, ServiceRole, SessionKind, Sessions, TargetRole, partition,
};
use serde_json::Value;

use crate::commands::doctor::check::{Area, Check};
use crate::commands::doctor::dry_run::{Asking, Question};
use crate::commands::doctor::predecessor::Stack;
use crate::print::text::counted;
use crate::session::access::Access;

/// The name in the ARNs that are simulated: whoever may do it to every resource may do it to this one.
const ANY: &str = "autoremediate-doctor";
/// A runbook that AWS does not have in China, where the rule works without it.
/// <https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-aws-disablepublicaccessforsecuritygroup.html>
const NOT_IN_CHINA: &str = "AWS-DisablePublicAccessForSecurityGroup";
/// How many regions of an account are asked at the same time.
const REGIONS_AT_ONCE: usize = 4;
/// The beginning of an external ID that nobody has.
const WRONG: &str = "not-";

/// What is checked in every account.
pub(super) struct Visit<'a> {
    access: Access,
    doctor_role: String,
    manifests: &'a [&'a Manifest],
    config: SdkConfig,
    /// The region that is worked in.
    region: String,
    /// Those in which AWS is asked.
    regions: Vec<String>,
    /// The deployment's, where it is known.
    policy: Option<&'a Policy>,
    run: RunId,
}

/// The doctor's role in one account.
struct Look {
    config: SdkConfig,
    iam: aws_sdk_iam::Client,
}

/// What a permission is for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    /// The resource's ARN, or `*`.
    resource: String,
    condition: Condition,
}

/// A condition, in the form of an IAM policy's.
type Condition = BTreeMap<String, BTreeMap<String, String>>;

/// One of the roles of a rule that operators assume, and the names of its checks: that it exists, whom it trusts, what it
/// may do.
struct Part<'m> {
    kind: SessionKind,
    names: [&'static str; 3],
    allowed: Vec<&'m Permission>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(
        access: Access,
        doctor_role: String,
        manifests: &'a [&'a Manifest],
        config: SdkConfig,
        regions: Vec<String>,
    ) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self { access, doctor_role, manifests, config, region, regions, policy: None, run: RunId::start() }
    }

    /// The same where the rules work by this policy.
    pub(super) fn under(self, policy: Option<&'a Policy>) -> Self {
        Self { policy, ..self }
    }

    /// Checks one account.
    pub(super) async fn check(&self, account: &AccountId) -> Vec<Check> {
        let check = Check::of(Area::Account, "doctor's role").in_account(account);
        let mut checks = Vec::new();
        let look = match self.assume(account, &self.doctor_role, self.access.external_id.as_deref()).await {
            Ok(credentials) => {
                checks.push(check);
                Some(self.look(credentials))
            }
            Err(error) => {
                checks.push(check.failed(error.to_string(), self.admit(account)));
                None
            }
        };
        let stack = Check::of(Area::Account, "Netskope's own stack").in_account(account);
        checks.push(match &look {
            Some(look) => {
                let ids: Vec<_> = self.manifests.iter().map(|manifest| manifest.id.as_str()).collect();
                Stack::Target.look(&look.iam, &ids, &self.regions, stack).await
            }
            None => stack.skipped("the doctor's role cannot be assumed"),
        });
        for manifest in self.manifests {
            checks.extend(self.rule(account, manifest, look.as_ref()).await);
            checks.extend(self.dry_runs(account, manifest).await);
        }
        checks
    }

    /// What EC2 says of the rule's write in each region, where there is a question about it.
    async fn dry_runs(&self, account: &AccountId, manifest: &Manifest) -> Vec<Check> {
        let questions = self.regions.iter().filter_map(|region| {
            let region = Region::code(region);
            Some((Question::of(&manifest.id, self.policy, account, &region)?, region))
        });
        let check = Check::of(Area::Account, "dry run").in_account(account).for_rule(&manifest.id);
        let role = self.access.role(&manifest.id);
        let reads = Sessions::new(self.config.clone(), manifest.access(role.clone(), self.run));
        // The session policy of the sessions that may only read, and in its place one for the call that is asked about.
        let own = format!("{{prefix}}-{}", manifest.id);
        let asks = |question: &Question| {
            let read_policy = question.session_policy(manifest, |text| {
                let text = text.replace(&own, &role.name).replace("{prefix}", self.name_prefix());
                text.replace("{region}", "*").replace("{account}", account.as_ref())
            });
            let asks = SessionAccess { read_policy, ..manifest.access(role.clone(), self.run) };
            Sessions::new(self.config.clone(), asks)
        };
        let in_region = |(question, region): (Question, Region)| {
            let (check, reads, asks) = (check.clone(), &reads, asks(&question));
            Box::pin(async move {
                let reads = reads.target(account, &region, SessionKind::Read).await;
                let asks = asks.target(account, &region, SessionKind::Read).await;
                match reads.and_then(|reads| Ok(Asking { reads, asks: asks? })) {
                    Ok(asking) => question.ask(&asking, check).await,
                    Err(error) => check.skipped(format!("not tried: {error}")),
                }
            })
        };
        stream::iter(questions).map(in_region).buffered(REGIONS_AT_ONCE).collect().await
    }

    async fn rule(&self, account: &AccountId, manifest: &Manifest, look: Option<&Look>) -> Vec<Check> {
        let check = |name| Check::of(Area::Account, name).in_account(account).for_rule(&manifest.id);
        let role = self.access.role(&manifest.id);
        let service = manifest.service_role.as_ref().map(|of| (of, format!("{}{}", role.name, SERVICE_ROLE_SUFFIX)));
        let Some(look) = look else {
            let unknown = |name| check(name).skipped("the doctor's role cannot be assumed");
            let mut checks = Vec::new();
            for Part { kind, names, .. } in self.parts(manifest) {
                let [exists, trust, permissions] = names;
                let trust = self.trust(account, manifest, &role, kind, check(trust)).await;
                checks.extend([unknown(exists), trust, unknown(permissions)]);
            }
            checks.extend(service.map(|_| unknown("service role")));
            checks.extend(self.runbook_of(manifest).map(|_| unknown("runbook")));
            return checks;
        };
        let mut checks = Vec::new();
        for Part { kind, names: [exists, trust, permissions], allowed } in self.parts(manifest) {
            let name = format!("{}{}", role.name, kind.role_suffix());
            match look.trust_policy(&name).await {
                Ok(_) => {
                    checks.push(check(exists).ok(name.clone()));
                    checks.push(self.trust(account, manifest, &role, kind, check(trust)).await);
                    checks.push(self.permissions(account, &name, &allowed, look, check(permissions)).await);
                }
                Err(error) => {
                    checks.push(check(exists).failed(format!("{name}: {error}"), self.apply(account)));
                    checks.extend([trust, permissions].map(|name| check(name).skipped("the role was not found")));
                }
            }
        }
        if let Some((of, name)) = service {
            checks.push(self.service_role(account, of, &name, look, check("service role")).await);
        }
        if let Some(runbook) = self.runbook_of(manifest) {
            let looks = self.regions.iter().map(|region| self.runbook(runbook, region, look, check("runbook")));
            let looks = stream::iter(looks).buffered(REGIONS_AT_ONCE);
            checks.extend(looks.collect::<Vec<_>>().await);
        }
        checks
    }

    /// The roles of a rule that operators assume: its own, and the one that takes a fix back.
    fn parts<'m>(&self, manifest: &'m Manifest) -> [Part<'m>; 2] {
        [
            Part {
                kind: SessionKind::Read,
                names: ["role", "trust", "permissions"],
                allowed: manifest.to_fix(partition(&self.region)).collect(),
            },
            Part {
                kind: SessionKind::ReadForUndo,
                names: ["undo role", "undo trust", "undo permissions"],
                allowed: manifest.to_undo().collect(),
            },
        ]
    }

    /// The runbook that the rule uses in this partition.
    fn runbook_of<'m>(&self, manifest: &'m Manifest) -> Option<&'m str> {
        let runbook = manifest.runbook.as_ref()?;
        manifest.has_runbook_in(partition(&self.region)).then_some(&runbook.name)
    }

    /// Whether the role can be assumed with the external ID, as a run assumes it, and not without.
    async fn trust(
        &self,
        account: &AccountId,
        manifest: &Manifest,
        role: &TargetRole,
        kind: SessionKind,
        check: Check,
    ) -> Check {
        let sessions = Sessions::new(self.config.clone(), manifest.access(role.clone(), self.run));
        let session = sessions.target(account, &Region::code(&self.region), kind).await;
        if let Err(error) = session {
            return check.failed(error.to_string(), self.admit(account));
        }
        let Some(right) = &role.external_id else {
            return check.failed("it can be assumed without an external ID", self.close(account));
        };
        let (wrong, name) = (format!("{WRONG}{right}"), format!("{}{}", role.name, kind.role_suffix()));
        for (external_id, what) in
            [(None, "without an external ID"), (Some(wrong.as_str()), "with another external ID")]
        {
            match self.assume(account, &name, external_id).await {
                Ok(_) => return check.failed(format!("it can be assumed {what}"), self.close(account)),
                Err(Error { kind: ErrorKind::AccessDenied, .. }) => {}
                Err(error) => return check.failed(format!("{what}: {error}"), "run doctor again"),
            }
        }
        check.ok("it can be assumed with the external ID, and not without it or with another")
    }

    /// Whether IAM would allow everything that the manifest lists.
    async fn permissions(
        &self,
        account: &AccountId,
        role: &str,
        permissions: &[&Permission],
        look: &Look,
        check: Check,
    ) -> Check {
        let role = format!("arn:{}:iam::{account}:role/{role}", partition(&self.region));
        let mut denied = Vec::new();
        for (Scope { resource, condition }, actions) in self.by_scope(permissions, account) {
            match look.simulate(&role, &actions, &resource, &condition).await {
                Ok(results) => denied.extend(results.iter().filter_map(|result| refusal(result, &resource))),
                Err(error) => return check.failed(error.to_string(), self.apply(account)),
            }
        }
        if denied.is_empty() {
            return check.ok(format!("all {} allowed", counted(permissions.len(), "permission")));
        }
        let fix =
            format!("{}; if it is applied already, check the permissions boundary and the SCPs", self.apply(account));
        check.failed(format!("not allowed: {}", denied.join(", ")), fix)
    }

    /// The actions of each scope, which one call can simulate.
    fn by_scope(&self, permissions: &[&Permission], account: &AccountId) -> BTreeMap<Scope, Vec<String>> {
        let mut scopes = BTreeMap::<_, Vec<_>>::new();
        for Permission { action, resource, condition } in permissions {
            let filled = |values: &BTreeMap<String, String>| {
                values.iter().map(|(key, value)| (key.clone(), self.fill(value, account))).collect()
            };
            let condition = condition.iter().map(|(operator, values)| (operator.clone(), filled(values))).collect();
            scopes.entry(Scope { resource: self.fill(resource, account), condition }).or_default().push(action.clone());
        }
        scopes
    }

    /// What the names of the roles begin with, as Terraform's `name_prefix`.
    fn name_prefix(&self) -> &str {
        self.access.role_name.strip_suffix("-{rule}").unwrap_or("autoremediate")
    }

    /// A text of a manifest with its parts filled in, and one name for whatever it leaves open.
    fn fill(&self, resource: &str, account: &AccountId) -> String {
        if resource == "*" {
            return resource.to_owned();
        }
        let parts = [
            ("{partition}", partition(&self.region)),
            ("{region}", self.region.as_str()),
            ("{account}", account.as_ref()),
            ("{prefix}", self.name_prefix()),
            ("*", ANY),
        ];
        parts.iter().fold(resource.to_owned(), |text, (part, value)| text.replace(part, value))
    }

    /// Whether the role that is passed to a service exists, and trusts that service alone.
    async fn service_role(
        &self,
        account: &AccountId,
        of: &ServiceRole,
        name: &str,
        look: &Look,
        check: Check,
    ) -> Check {
        let trusted = match look.trust_policy(name).await {
            Ok(policy) => trusted(&policy),
            Err(error) => return check.failed(format!("{name}: {error}"), self.apply(account)),
        };
        let wanted = format!("Service {}", of.service);
        if trusted.len() == 1 && trusted.contains(&wanted) {
            return check.ok(format!("{name} trusts {}", of.service));
        }
        let trusted = if trusted.is_empty() { "nobody".to_owned() } else { Vec::from_iter(trusted).join(", ") };
        check.failed(format!("{name} trusts {trusted}, not {} alone", of.service), self.apply(account))
    }

    async fn runbook(&self, name: &str, region: &str, look: &Look, check: Check) -> Check {
        match look.runbook(name, region).await {
            Ok(()) => check.ok(format!("{region}: {name}")),
            Err(error) if error.code.as_deref() == Some("InvalidDocument") => missing(check, name, region),
            Err(error) => check.failed(
                format!("{region}: {name}: {error}"),
                "apply terraform/deploy/targets with this rule enabled, so that the doctor's role may describe it",
            ),
        }
    }

    /// Credentials of a role in the account.
    async fn assume(&self, account: &AccountId, role: &str, external_id: Option<&str>) -> Result<Credentials, Error> {
        let answer = aws_sdk_sts::Client::new(&self.config)
            .assume_role()
            .role_arn(format!("arn:{}:iam::{account}:role/{role}", partition(&self.region)))
            .role_session_name(format!("autoremediate-{}", self.run))
            .set_external_id(external_id.map(str::to_owned))
            .send()
            .await
            .map_err(|error| Error::api("sts:AssumeRole", error))?;
        let session = answer.credentials.ok_or_else(|| Error::unusable("sts:AssumeRole", "no credentials"))?;
        let (id, secret, token) = (session.access_key_id, session.secret_access_key, session.session_token);
        Ok(Credentials::new(id, secret, Some(token), None, "autoremediate-doctor"))
    }

    fn look(&self, credentials: Credentials) -> Look {
        let config = self
            .config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .identity_cache(IdentityCache::no_cache())
            .build();
        Look { iam: aws_sdk_iam::Client::new(&config), config }
    }

    fn apply(&self, account: &AccountId) -> String {
        format!("apply terraform/deploy/targets for account {account}")
    }

    /// How the person who runs this gets to assume the roles.
    fn admit(&self, account: &AccountId) -> String {
        let apply = self.apply(account);
        format!(
            "set EXTERNAL_ID to its external_id, attach the central deployment's operator_policy_arn to your role, add \
             the role to operator_role_arns, and {apply}"
        )
    }

    fn close(&self, account: &AccountId) -> String {
        format!("{}: its trust policies require the external ID, and this one does not", self.apply(account))
    }
}

impl Look {
    /// A role's trust policy. <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html>
    async fn trust_policy(&self, role: &str) -> Result<Value, Error> {
        let answer = self.iam.get_role().role_name(role).send().await;
        let answer = answer.map_err(|error| Error::api("iam:GetRole", error))?;
        let document = answer.role.and_then(|role| role.assume_role_policy_document).unwrap_or_default();
        let text = percent_decode_str(&document).decode_utf8_lossy();
        serde_json::from_str(&text).map_err(|_| Error::unusable("iam:GetRole", "the trust policy is not JSON"))
    }

    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>
    async fn simulate(
        &self,
        role: &str,
        actions: &[String],
        resource: &str,
        condition: &Condition,
    ) -> Result<Vec<EvaluationResult>, Error> {
        let entry = |(key, value): (&String, &String)| {
            let entry = ContextEntry::builder().context_key_name(key).context_key_values(value);
            entry.context_key_type(ContextKeyTypeEnum::String).build()
        };
        let entries: Vec<_> = condition.values().flatten().map(entry).collect();
        let mut pages = self
            .iam
            .simulate_principal_policy()
            .policy_source_arn(role)
            .set_action_names(Some(actions.to_vec()))
            .resource_arns(resource)
            .set_context_entries(Some(entries))
            .into_paginator()
            .send();
        let mut results = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Error::api("iam:SimulatePrincipalPolicy", error))?;
            results.extend(page.evaluation_results.unwrap_or_default());
        }
        if results.len() < actions.len() {
            return Err(Error::unusable("iam:SimulatePrincipalPolicy", "fewer results than actions"));
        }
        Ok(results)
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeDocument.html>
    async fn runbook(&self, name: &str, region: &str) -> Result<(), Error> {
        let region = aws_config::Region::new(region.to_owned());
        let ssm = aws_sdk_ssm::Client::new(&self.config.to_builder().region(region).build());
        let answer = ssm.describe_document().name(name).send().await;
        answer.map(drop).map_err(|error| Error::api("ssm:DescribeDocument", error))
    }
}

/// A runbook that is not in the region.
fn missing(check: Check, name: &str, region: &str) -> Check {
    if name == NOT_IN_CHINA && partition(region) == "aws-cn" {
        return check.ok(format!("{name} does not exist in China; the rule works without it there"));
    }
    let fix = "set this rule's mode to \"off\" in this region's terraform/deploy/central, and apply that";
    check.failed(format!("{name} does not exist in {region}"), fix)
}

/// The action and what denies it; nothing where it is allowed.
fn refusal(result: &EvaluationResult, resource: &str) -> Option<String> {
    if result.eval_decision == PolicyEvaluationDecisionType::Allowed {
        return None;
    }
    let by_boundary = result.permissions_boundary_decision_detail.as_ref();
    let by_organization = result.organizations_decision_detail.as_ref();
    let why = if by_boundary.is_some_and(|detail| !detail.allowed_by_permissions_boundary) {
        "by the permissions boundary"
    } else if by_organization.is_some_and(|detail| !detail.allowed_by_organizations) {
        "by an SCP"
    } else if result.eval_decision == PolicyEvaluationDecisionType::ExplicitDeny {
        "by an explicit deny"
    } else {
        "by its policies"
    };
    Some(format!("{} on {resource} ({why})", result.eval_action_name))
}

/// Whom a trust policy allows to assume the role, each with its kind.
fn trusted(policy: &Value) -> BTreeSet<String> {
    let allows = |statement: &&Value| statement["Effect"] == "Allow";
    listed(&policy["Statement"])
        .into_iter()
        .filter(allows)
        .flat_map(|statement| principals(&statement["Principal"]))
        .collect()
}

fn principals(principal: &Value) -> Vec<String> {
    let Some(kinds) = principal.as_object() else { return vec![format!("anybody ({principal})")] };
    let names = |(kind, names): (&String, &Value)| {
        let names = listed(names).into_iter();
        names.map(|name| format!("{kind} {}", name.as_str().unwrap_or_default())).collect::<Vec<_>>()
    };
    kinds.iter().flat_map(names).collect()
}

/// A policy has one of something, or a list.
fn listed(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::PermissionsBoundaryDecisionDetail;
    use serde_json::json;

    use super::*;
    use crate::commands::doctor::check::CheckResult;

    #[test]
    fn a_runbook_is_missing_where_the_rule_cannot_do_without_it() {
        let cluster = "AWSConfigRemediation-DisablePublicAccessToRedshiftCluster";
        for (name, region, result) in [
            (NOT_IN_CHINA, "cn-north-1", CheckResult::Ok),
            (NOT_IN_CHINA, "eu-west-1", CheckResult::Failed),
            (cluster, "cn-north-1", CheckResult::Failed),
        ] {
            let check = missing(Check::of(Area::Account, "runbook"), name, region);
            assert_eq!((check.result, check.fix.is_some()), (result, result == CheckResult::Failed), "{name} {region}");
        }
    }

    #[test]
    fn a_trust_policy_trusts_every_principal_that_a_statement_allows() {
        let service = json!({"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}});
        let several = json!({"Effect": "Allow", "Principal": {"AWS": ["111111111111", "222222222222"]}});
        let anybody = json!({"Effect": "Allow", "Principal": "*"});
        let denied = json!({"Effect": "Deny", "Principal": {"AWS": "333333333333"}});
        for (statement, expected) in [
            (service.clone(), vec!["Service ssm.amazonaws.com"]),
            (
                json!([service, several, denied]),
                vec!["AWS 111111111111", "AWS 222222222222", "Service ssm.amazonaws.com"],
            ),
            (anybody, vec!["anybody (\"*\")"]),
        ] {
            let found = trusted(&json!({"Statement": statement}));
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_refusal_says_what_refuses() {
        let result = |decision: PolicyEvaluationDecisionType, boundary: Option<bool>| {
            let boundary = boundary.map(|allowed| {
                PermissionsBoundaryDecisionDetail::builder().allowed_by_permissions_boundary(allowed).build()
            });
            EvaluationResult::builder()
                .eval_action_name("s3:GetObject")
                .eval_decision(decision)
                .set_permissions_boundary_decision_detail(boundary)
                .build()
                .unwrap()
        };
        let (allowed, implicit, explicit) = (
            PolicyEvaluationDecisionType::Allowed,
            PolicyEvaluationDecisionType::ImplicitDeny,
            PolicyEvaluationDecisionType::ExplicitDeny,
        );
        assert_eq!(refusal(&result(allowed, Some(true)), "r"), None);
        for (decision, boundary, why) in [
            (implicit.clone(), None, "by its policies"),
            (implicit.clone(), Some(true), "by its policies"),
            (implicit, Some(false), "by the permissions boundary"),
            (explicit, None, "by an explicit deny"),
        ] {
            assert_eq!(refusal(&result(decision, boundary), "r"), Some(format!("s3:GetObject on r ({why})")));
        }
    }
}
