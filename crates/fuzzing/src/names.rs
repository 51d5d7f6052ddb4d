//! Names: ARNs, keys of the bucket, regions as Netskope calls them.

use remediation::records::card_key;
use remediation::{Approval, Arn, BatchId, Finding, Folder, Resource, Scope, partition};

use crate::RULE;

/// The text as an ARN, and as the resource of a finding that it may not belong to.
pub(crate) fn arn(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(Arn { partition, service, region, account, resource }) = Arn::parse(text) {
        assert_eq!(format!("arn:{partition}:{service}:{region}:{account}:{resource}"), text);
    }
    if let Ok(resource) = Resource::of_arn("test:Get", text.to_owned(), "id") {
        assert!(resource.owner.as_ref().bytes().all(|byte| byte.is_ascii_digit()));
        assert!(card_key(RULE, &resource).starts_with(&Folder::Resources.of(RULE)));
    }
    for region in ["eu-west-1", "global"] {
        let Some(finding) = finding(region, text) else { return };
        if let Ok(Some(arn)) = finding.arn("ec2") {
            assert_eq!(arn.service, "ec2");
            assert!(arn.account.is_empty() || arn.account == finding.account.as_ref());
            assert!(arn.region.is_empty() || finding.region.is_global() || arn.region == finding.region.as_ref());
        }
        // What they say is for a person; here it is enough that they come back.
        drop((finding.located(Scope::Regional), finding.ec2_name("security-group", "sg")));
    }
}

/// A finding of that resource.
fn finding(region: &str, resource: &str) -> Option<Finding> {
    Some(Finding {
        control: "Ensure S3 Bucket is not publicly accessible.".into(),
        account: "222222222222".parse().ok()?,
        region: remediation::Region::code(region),
        resource: resource.to_owned(),
        first_seen: None,
        last_scanned: None,
    })
}

/// The text as the key of findings and of a plan.
pub(crate) fn key(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(id) = BatchId::from_findings_key(text, RULE) {
        assert_eq!(id.rule, RULE);
        assert!(text.starts_with(id.findings_key().trim_end_matches("ndjson.gz")), "{text} is not of {id:?}");
    }
    if let Some(id) = BatchId::from_plan_key(text, RULE) {
        assert_eq!(id.rule, RULE);
        assert!(text.starts_with(id.plan_key().trim_end_matches("json")), "{text} is not of {id:?}");
        assert!(Folder::Approvals.holds(&Approval::key(text)), "{text}");
    }
}

/// The text as Netskope's name of a region: what becomes a part of an address is a code and nothing else.
pub(crate) fn region(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match netskope::Region::parse(text) {
        netskope::Region::Code(code) => {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(!code.is_empty() && code.bytes().all(is_plain), "{code:?}");
            assert!(partition(&code).starts_with("aws"));
            assert_eq!(netskope::Region::parse(&code), netskope::Region::Code(code));
        }
        netskope::Region::Unknown(name) => assert_eq!(name, text.trim()),
        netskope::Region::Global => {}
    }
}
