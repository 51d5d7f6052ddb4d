//! No text on a list leads a call of any rule to another account, region, service or partition.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use remediation::{Error, ErrorKind, Finding, Manifest, Region, Rule, Scope};
use rule_testing::{ACCOUNT, REGION, Wire, finding, target};

use crate::{Visitor, visit};

const OTHER_ACCOUNT: &str = "333333333333";
const OTHER_REGION: &str = "us-west-2";
const OTHER_PARTITION: &str = "aws-cn";

/// The rules that are shown resources of other regions and accounts in the finding's own, by their ARNs: a trail logs in
/// many regions, and an organization's in all of its accounts. They ask there, and the engine holds what is another's.
const SEE_BEYOND: [&str; 1] = ["cloudtrail-unvalidated-logs"];

/// The rules whose ARNs hold a path, which may be of dots: the name behind it is asked for.
const WITH_A_PATH: [&str; 1] = ["iam-stale-access-key"];

/// The parts of an ARN that a test fills in.
#[derive(Clone, Copy)]
struct Parts<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
}

const OWN: Parts<'_> = Parts { partition: "aws", region: REGION, account: ACCOUNT };

impl Parts<'_> {
    /// An ARN of the manifest's, with an ID that such a resource could have.
    fn fill(self, template: &str) -> String {
        let id = match template.rsplit(':').next().unwrap() {
            "vpc/{id}" => "vpc-0123456789abcdef0",
            "network-acl/{id}" => "acl-0123456789abcdef0",
            "security-group/{id}" => "sg-0123456789abcdef0",
            _ => "example",
        };
        let filled = template.replace("{partition}", self.partition).replace("{region}", self.region);
        filled.replace("{account}", self.account).replace("{id}", id)
    }
}

/// What a rule made of a finding, and the hosts that it called.
struct Tried {
    error: Error,
    hosts: Vec<String>,
}

/// A finding as the poller lists it: with a region, unless the rule's resources have none.
fn listed(manifest: &Manifest, resource: &str) -> Finding {
    let region = if manifest.scope == Scope::Global { Region::global() } else { Region::code(REGION) };
    Finding { region, ..finding(&manifest.controls[0].rule_names[0], resource) }
}

/// Looks at a resource, over a wire on which nothing succeeds.
fn look<R: Rule>(manifest: &Manifest, resource: &str) -> Tried {
    let wire = Wire::default();
    let client = R::client(&target(REGION, wire.clone()));
    let finding = listed(manifest, resource);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(R::look(&client, &finding)).err().unwrap();
    Tried { error, hosts: wire.hosts() }
}

/// The host is a service's in the own region, or that of IAM, which has none.
fn is_own(host: &String, manifest: &Manifest) -> bool {
    let Manifest { service, .. } = manifest;
    let regional = format!("{service}.{REGION}.amazonaws.com");
    *host == regional
        || host.ends_with(&format!(".{regional}"))
        || manifest.scope == Scope::Global && host == "iam.amazonaws.com"
}

/// Does something with each ARN of each rule's manifest.
trait EachArn {
    fn try_arn<R: Rule>(&self, manifest: &Manifest, template: &str);
}

struct Each<T>(T);

impl<T: EachArn> Visitor for Each<T> {
    type Output = ();

    fn visit<R: Rule>(&self) {
        let manifest = Manifest::from_json(R::MANIFEST).unwrap();
        assert!(!manifest.arns.is_empty(), "{}", manifest.id);
        manifest.arns.iter().for_each(|template| self.0.try_arn::<R>(&manifest, template));
    }
}

struct Own;

impl EachArn for Own {
    fn try_arn<R: Rule>(&self, manifest: &Manifest, template: &str) {
        let arn = OWN.fill(template);
        let Tried { hosts, error } = look::<R>(manifest, &arn);
        assert!(!hosts.is_empty() && hosts.iter().all(|host| is_own(host, manifest)), "{arn} calls {hosts:?}: {error}");
    }
}

/// Without this, the tests below could hold because nothing is ever called.
#[test]
fn an_arn_of_the_findings_own_leads_to_a_call_in_its_region() {
    visit(&Each(Own));
}

struct Strangers;

impl EachArn for Strangers {
    fn try_arn<R: Rule>(&self, manifest: &Manifest, template: &str) {
        let Manifest { id, service, .. } = manifest;
        let account = Parts { account: OTHER_ACCOUNT, ..OWN };
        let region = Parts { region: OTHER_REGION, ..OWN };
        let partition = Parts { partition: OTHER_PARTITION, ..OWN };
        let whole = Parts { partition: OTHER_PARTITION, region: "cn-north-1", account: OTHER_ACCOUNT };
        let of_service = OWN.fill(template).replace(&format!(":{service}:"), ":dynamodb:");
        let belongs = format!("belongs to the account {OTHER_ACCOUNT}, but the finding is of {ACCOUNT}");
        let is_in = format!("is in the region {OTHER_REGION}, but the finding is of {REGION}");
        let is_of = format!("is of the partition {OTHER_PARTITION}, but the finding is of aws");
        for (arn, has_it, says) in [
            (account.fill(template), template.contains("{account}"), &*belongs),
            (region.fill(template), template.contains("{region}"), &is_in),
            (partition.fill(template), true, &is_of),
            (whole.fill(template), true, ", but the finding is of "),
            (of_service, true, "is an ARN of the service dynamodb, not of"),
        ] {
            if !has_it {
                continue;
            }
            let Tried { error, hosts } = look::<R>(manifest, &arn);
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{id}: {arn}: {error}");
            assert!(error.message.contains(says) && error.message.contains(&arn), "{id}: {arn}: {error}");
            let may_ask = SEE_BEYOND.contains(&id.as_str()) && [&*belongs, &is_in].contains(&says);
            let here = may_ask && hosts.len() == 1 && is_own(&hosts[0], manifest);
            assert!(hosts.is_empty() || here, "{id}: {arn} calls {hosts:?}");
        }
    }
}

#[test]
fn an_arn_of_another_account_region_service_or_partition_calls_nobody_and_says_so() {
    visit(&Each(Strangers));
}

struct Resembling;

impl EachArn for Resembling {
    fn try_arn<R: Rule>(&self, manifest: &Manifest, template: &str) {
        let own = OWN.fill(template);
        let theirs = Parts { region: OTHER_REGION, account: OTHER_ACCOUNT, ..OWN }.fill(template);
        let changed = [
            |arn: &str| arn.to_uppercase(),
            |arn: &str| arn.replacen("arn", "ARN", 1),
            |arn: &str| arn.replacen("aws", "AWS", 1),
            |arn: &str| arn.replace(':', "%3A"),
            |arn: &str| arn.replace(':', "%253a"),
            |arn: &str| format!(" {arn}"),
            |arn: &str| format!("\t{arn}"),
            |arn: &str| format!("{arn}\n"),
            |arn: &str| format!("{arn}\0"),
            |arn: &str| format!("{arn}/../../x"),
            |arn: &str| format!("{arn}%2f..%2fx"),
            |arn: &str| format!("{arn}?x=y#z"),
            |arn: &str| arn.replacen("aws:", "aws:../", 1),
            |arn: &str| arn.replacen("aws:", "aws/..:", 1),
            |arn: &str| arn.replacen("arn:", "arn:arn:", 1),
            |arn: &str| arn.replacen("arn:", "arn::", 1),
            |arn: &str| arn.rsplit_once([':', '/']).unwrap().0.to_owned(),
            |arn: &str| format!("{arn}{}", "a".repeat(2048)),
            |arn: &str| format!("{arn}{}", "é".repeat(1 << 20)),
        ];
        let long = ["a".repeat(2049), "a".repeat(1 << 20), "€".repeat(700)];
        let texts = [own, theirs].into_iter().flat_map(|arn| changed.map(|change| change(&arn))).chain(long);
        for text in texts {
            let Tried { error, hosts } = look::<R>(manifest, &text);
            let shown: String = text.chars().take(200).collect();
            if WITH_A_PATH.contains(&manifest.id.as_str()) && text.ends_with("/../../x") {
                assert!(hosts.iter().all(|host| is_own(host, manifest)), "{shown} calls {hosts:?}");
                continue;
            }
            assert_eq!((error.kind, hosts), (ErrorKind::InvalidFinding, vec![]), "{shown}: {error}");
            assert!(error.message.len() < 2500, "{} bytes", error.message.len());
        }
    }
}

#[test]
fn what_only_resembles_an_arn_or_is_longer_than_any_name_calls_nobody() {
    visit(&Each(Resembling));
}

struct Anything;

impl EachArn for Anything {
    fn try_arn<R: Rule>(&self, manifest: &Manifest, template: &str) {
        let (before, after) = template.split_once("{id}").unwrap();
        let part = || prop_oneof![3 => "[a-z0-9-]{0,14}", 1 => ".{0,8}"];
        let text = (part(), part(), part(), ".{0,20}").prop_map(move |(partition, region, account, id)| {
            let filled = before.replace("{partition}", &partition).replace("{region}", &region);
            format!("{}{id}{after}", filled.replace("{account}", &account))
        });
        let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
        let tried = runner.run(&prop_oneof![text, any::<String>()], |text| {
            let Tried { hosts, error } = look::<R>(manifest, &text);
            prop_assert!(hosts.iter().all(|host| is_own(host, manifest)), "{text} calls {hosts:?}: {error}");
            Ok(())
        });
        tried.unwrap();
    }
}

#[test]
fn no_text_leads_a_call_anywhere_else() {
    visit(&Each(Anything));
}
