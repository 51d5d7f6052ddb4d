//! How findings name resources: by ARNs, by IDs, and by what can only be a tag.

use std::borrow::Cow;

use super::{Finding, Scope};
use crate::aws::{Arn, Error, Region, Result};

impl Finding {
    /// The finding with the region that its resource is in: its own, else the one in its ARN.
    ///
    /// # Errors
    ///
    /// The resource is in a region, and neither the finding nor its ARN says which.
    pub fn located(&self, scope: Scope) -> Result<Cow<'_, Self>> {
        if scope != Scope::Regional || !self.region.is_global() {
            return Ok(Cow::Borrowed(self));
        }
        match Arn::parse(&self.resource).map(|arn| arn.region) {
            Some(region) if !region.is_empty() => Ok(Cow::Owned(Self { region: Region::code(region), ..self.clone() })),
            _ => {
                let message = format!(
                    "it names no region, and `{}` is in one: what is looked for in the wrong region seems to be gone",
                    self.resource
                );
                Err(Error::invalid_finding("region", message))
            }
        }
    }
}

impl Finding {
    /// The finding's resource as an ARN of `service`; none where it is a name or an ID.
    ///
    /// # Errors
    ///
    /// It is not a whole ARN, or it is one of another service, account or region than the finding's. An ARN without an
    /// account or a region, and a finding without a region, leave nothing to compare.
    pub fn arn(&self, service: &str) -> Result<Option<Arn<'_>>> {
        let text = self.resource.as_str();
        if !text.starts_with("arn:") {
            return Ok(None);
        }
        let invalid = |message: String| Error::invalid_finding("resource", format!("`{text}` {message}"));
        let arn = Arn::parse(text)
            .ok_or_else(|| invalid("is not an ARN: arn:partition:service:region:account:resource".into()))?;
        if arn.service != service {
            return Err(invalid(format!("is an ARN of the service {}, not of {service}", arn.service)));
        }
        if !arn.account.is_empty() && arn.account != self.account.as_ref() {
            let message = format!("belongs to the account {}, but the finding is of {}", arn.account, self.account);
            return Err(invalid(message));
        }
        let region = self.region.to_string();
        if !arn.region.is_empty() && !self.region.is_global() && arn.region != region {
            return Err(invalid(format!("is in the region {}, but the finding is of {region}", arn.region)));
        }
        Ok(Some(arn))
    }
}

/// How a finding names a resource of EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ec2Name<'a> {
    /// By its ID, alone or in an ARN.
    Id(&'a str),
    /// By something else, which can only be its tag `Name`.
    Tag(&'a str),
}

impl Finding {
    /// How the finding names its resource of EC2: one of the type that ARNs call `kind`, such as `network-acl`, whose
    /// IDs begin with `prefix`, such as `acl`.
    ///
    /// # Errors
    ///
    /// [`Finding::arn`]'s, and an ARN of another type of resource. Also a finding without a region: what is looked for
    /// in the wrong one would seem to be gone.
    pub fn ec2_name(&self, kind: &str, prefix: &str) -> Result<Ec2Name<'_>> {
        if self.region.is_global() {
            let message = format!("a {kind} is in a region, and the finding of `{}` names none", self.resource);
            return Err(Error::invalid_finding("region", message));
        }
        let invalid = || {
            let message = format!("`{}` is neither the ID of a {kind} ({prefix}-…), its ARN nor a name", self.resource);
            Error::invalid_finding("resource", message)
        };
        if let Some(arn) = self.arn("ec2")? {
            let id = arn.resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
            return id.filter(|id| is_ec2_id(id, prefix)).map(Ec2Name::Id).ok_or_else(invalid);
        }
        let text = self.resource.as_str();
        match text {
            id if is_ec2_id(id, prefix) => Ok(Ec2Name::Id(id)),
            text if text.trim().is_empty() => Err(invalid()),
            text => Ok(Ec2Name::Tag(text)),
        }
    }
}

/// Eight hexadecimal digits, or 17 since 2016.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
fn is_ec2_id(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl Ec2Name<'_> {
    /// The one resource that `action` found by this name.
    ///
    /// # Errors
    ///
    /// No resource, or more than one, has the tag. A name that nothing has is not "gone": a tag changes.
    pub fn only<T>(self, action: &str, found: Vec<T>) -> Result<T> {
        let count = found.len();
        let mut found = found.into_iter();
        match (found.next(), count, self) {
            (Some(only), 1, _) => Ok(only),
            (_, 0, Self::Id(_)) => Err(Error::unusable(action, "nothing of the ID that was asked for")),
            (_, _, Self::Id(id)) => Err(Error::unusable(action, &format!("more than one resource of the ID {id}"))),
            (_, _, Self::Tag(name)) => {
                let message = format!("`{name}` is no ID, and the tag Name of {count} resources; give the ID");
                Err(Error::invalid_finding("resource", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aws::ErrorKind;

    const ACCOUNT: &str = "222222222222";

    #[test]
    fn the_parts_of_an_arn_are_told_apart() {
        for (text, [partition, service, region, account, resource]) in [
            ("arn:aws:iam::222222222222:user/a/b", ["aws", "iam", "", ACCOUNT, "user/a/b"]),
            ("arn:aws-cn:rds:cn-north-1:222222222222:db:x", ["aws-cn", "rds", "cn-north-1", ACCOUNT, "db:x"]),
            ("arn:aws:s3:::data", ["aws", "s3", "", "", "data"]),
        ] {
            assert_eq!(Arn::parse(text), Some(Arn { partition, service, region, account, resource }), "{text}");
        }
        for text in
            ["", "arn", "arn:", "arn:aws:iam::1", "arn:aws:iam::1:", "arn::iam::1:x", "arn:aws:::1:x", "x:aws:iam::1:y"]
        {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_no_arn_and_the_findings_own_arn_is_taken() {
        assert_eq!(Finding::of(ACCOUNT, "us-east-1", "a-name").arn("rds").unwrap(), None);
        for (service, text) in [
            ("rds", "arn:aws:rds:us-east-1:222222222222:db:x"),
            ("iam", "arn:aws:iam::222222222222:user/x"),
            ("s3", "arn:aws:s3:::x"),
        ] {
            assert_eq!(Finding::of(ACCOUNT, "us-east-1", text).arn(service).unwrap(), Arn::parse(text), "{text}");
        }
        let regional = "arn:aws:rds:eu-west-1:222222222222:db:x";
        assert_eq!(Finding::of(ACCOUNT, "global", regional).arn("rds").unwrap(), Arn::parse(regional));
    }

    #[test]
    fn an_arn_that_contradicts_the_finding_is_an_error_that_says_so() {
        for (text, says) in [
            ("arn:aws:rds:us-east-1:333333333333:db:x", "account 333333333333, but the finding is of 222222222222"),
            ("arn:aws:rds:eu-west-1:222222222222:db:x", "region eu-west-1, but the finding is of us-east-1"),
            ("arn:aws:ec2:us-east-1:222222222222:vpc/x", "service ec2, not of rds"),
            ("arn:aws:rds", "is not an ARN"),
        ] {
            let error = Finding::of(ACCOUNT, "us-east-1", text).arn("rds").unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{text}");
            assert!(error.message.contains(says) && error.message.contains(text), "{error}");
        }
    }

    #[test]
    fn a_resource_of_ec2_is_named_by_id_arn_or_name() {
        let acl = "acl-0123456789abcdef0";
        for (resource, expected) in [
            (acl, Ec2Name::Id(acl)),
            ("acl-0123abcd", Ec2Name::Id("acl-0123abcd")),
            ("arn:aws:ec2:us-east-1:222222222222:network-acl/acl-0123456789abcdef0", Ec2Name::Id(acl)),
            // Neither of the two lengths, not hexadecimal, or of another type: a name.
            ("acl-0123", Ec2Name::Tag("acl-0123")),
            ("acl-frontend", Ec2Name::Tag("acl-frontend")),
            ("vpc-0123abcd", Ec2Name::Tag("vpc-0123abcd")),
            ("our edge", Ec2Name::Tag("our edge")),
        ] {
            let finding = Finding::of(ACCOUNT, "us-east-1", resource);
            assert_eq!(finding.ec2_name("network-acl", "acl").unwrap(), expected, "{resource}");
        }
        for (region, resource, says) in [
            ("us-east-1", "", "neither the ID of a network-acl (acl-…), its ARN nor a name"),
            ("us-east-1", " ", "neither the ID"),
            ("us-east-1", "arn:aws:ec2:us-east-1:222222222222:vpc/vpc-0123abcd", "neither the ID"),
            ("us-east-1", "arn:aws:ec2:us-east-1:222222222222:network-acl/x", "neither the ID"),
            ("us-east-1", "arn:aws:ec2:us-east-1:222222222222:network-aclacl-0123abcd", "neither the ID"),
            ("us-east-1", "arn:aws:ec2:us-east-1:333333333333:network-acl/acl-0123abcd", "belongs to the account"),
            ("us-east-1", "arn:aws:ec2:eu-west-1:222222222222:network-acl/acl-0123abcd", "is in the region eu-west-1"),
            ("global", "acl-0123abcd", "is in a region"),
        ] {
            let error = Finding::of(ACCOUNT, region, resource).ec2_name("network-acl", "acl").unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
            assert!(error.message.contains(says), "{error}");
        }
    }

    #[test]
    fn only_one_resource_may_have_the_name() {
        assert_eq!(Ec2Name::Tag("edge").only("ec2:DescribeVpcs", vec![1]), Ok(1));
        for (count, says) in [(0, "the tag Name of 0 resources"), (2, "the tag Name of 2 resources")] {
            let error = Ec2Name::Tag("edge").only("ec2:DescribeVpcs", vec![1; count]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding);
            assert!(error.message.contains(says), "{error}");
            let error = Ec2Name::Id("vpc-0123abcd").only("ec2:DescribeVpcs", vec![1; count]).unwrap_err();
            assert_eq!((error.kind, error.action.as_str()), (ErrorKind::Transient, "ec2:DescribeVpcs"));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String, rest in "[:a-z0-9/é]{0,40}", service: String) {
            for resource in [text.clone(), format!("arn:{text}"), format!("arn:{rest}")] {
                let _ = Arn::parse(&resource);
                let _ = Finding::of(ACCOUNT, "us-east-1", &resource).arn(&service);
                let _ = Finding::of(ACCOUNT, "us-east-1", &resource).ec2_name(&service, &service);
            }
        }

        #[test]
        fn an_arn_is_made_of_its_parts(
            parts in ["[a-z-]{1,9}", "[a-z0-9]{1,9}", "[a-z0-9-]{0,12}", "[0-9]{0,12}", "[a-z:/é]{1,20}"]
        ) {
            let text = format!("arn:{}", parts.join(":"));
            let Arn { partition, service, region, account, resource } = Arn::parse(&text).unwrap();
            prop_assert_eq!(parts, [partition, service, region, account, resource]);
        }
    }
}
