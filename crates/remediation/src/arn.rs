//! Amazon Resource Names, as findings and API answers hold them.

use crate::{Error, Finding, Result};

/// The parts of an ARN.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// Such as `aws` or `aws-us-gov`.
    pub partition: &'a str,
    /// Such as `iam`.
    pub service: &'a str,
    /// Empty for what has no region, such as a user of IAM.
    pub region: &'a str,
    /// The owner's ID; empty where the name alone says whose it is, such as a bucket's.
    pub account: &'a str,
    /// The rest, in the service's own form, such as `user/path/name` or `db:name`.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of `text`; none where it is not an ARN.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let mut part = || parts.next();
        let arn = Self { partition: part()?, service: part()?, region: part()?, account: part()?, resource: part()? };
        let whole = [arn.partition, arn.service, arn.resource].iter().all(|part| !part.is_empty());
        whole.then_some(arn)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;
    use crate::fake::finding;

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
        assert_eq!(finding(ACCOUNT, "us-east-1", "a-name").arn("rds").unwrap(), None);
        for (service, text) in [
            ("rds", "arn:aws:rds:us-east-1:222222222222:db:x"),
            ("iam", "arn:aws:iam::222222222222:user/x"),
            ("s3", "arn:aws:s3:::x"),
        ] {
            assert_eq!(finding(ACCOUNT, "us-east-1", text).arn(service).unwrap(), Arn::parse(text), "{text}");
        }
        let regional = "arn:aws:rds:eu-west-1:222222222222:db:x";
        assert_eq!(finding(ACCOUNT, "global", regional).arn("rds").unwrap(), Arn::parse(regional));
    }

    #[test]
    fn an_arn_that_contradicts_the_finding_is_an_error_that_says_so() {
        for (text, says) in [
            ("arn:aws:rds:us-east-1:333333333333:db:x", "account 333333333333, but the finding is of 222222222222"),
            ("arn:aws:rds:eu-west-1:222222222222:db:x", "region eu-west-1, but the finding is of us-east-1"),
            ("arn:aws:ec2:us-east-1:222222222222:vpc/x", "service ec2, not of rds"),
            ("arn:aws:rds", "is not an ARN"),
        ] {
            let error = finding(ACCOUNT, "us-east-1", text).arn("rds").unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{text}");
            assert!(error.message.contains(says) && error.message.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String, rest in "[:a-z0-9/é]{0,40}", service: String) {
            for resource in [text.clone(), format!("arn:{text}"), format!("arn:{rest}")] {
                let _ = Arn::parse(&resource);
                let _ = finding(ACCOUNT, "us-east-1", &resource).arn(&service);
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
