//! How findings name resources: by ARNs, by IDs, by names, and by what can only be a tag.
//!
//! A finding's own account and region say where calls go. An ARN in its text can only agree with them, or is an error
//! before anything is called: no text on a list leads a call to another account, region, service or partition.

use std::borrow::Cow;

use super::{Finding, Scope};
use crate::aws::{Arn, Error, Region, Result, partition};

/// The most bytes that an ARN has, and no name is longer.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>
const LONGEST: usize = 2048;
/// So much of a longer text is shown.
const SHOWN: usize = 80;
/// The most characters that a tag's value has.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
const LONGEST_TAG: usize = 256;

impl Finding {
    /// The finding with the region that its resource is in: its own, else the one in its ARN.
    ///
    /// # Errors
    ///
    /// The resource is in a region, and neither the finding nor its ARN says which. Also a region that has no region's
    /// code, and a text that is longer than any name.
    pub fn located(&self, scope: Scope) -> Result<Cow<'_, Self>> {
        let region = self.region.as_ref();
        if !is_region_code(region) {
            let start: String = region.chars().take(SHOWN).collect();
            return Err(Error::invalid_finding("region", format!("`{start}` is not the code of a region")));
        }
        if scope != Scope::Regional || !self.region.is_global() {
            return self.text().map(|_| Cow::Borrowed(self));
        }
        match self.parsed_arn()?.map(|arn| arn.region) {
            Some(region) if !region.is_empty() => Ok(Cow::Owned(Self { region: Region::code(region), ..self.clone() })),
            _ => {
                let message = format!(
                    "the finding names no region, and `{}` is in one: in the wrong region it would seem to be gone",
                    self.resource
                );
                Err(Error::invalid_finding("region", message))
            }
        }
    }

    /// What the finding calls its resource.
    fn text(&self) -> Result<&str> {
        let text = self.resource.as_str();
        if text.len() <= LONGEST {
            return Ok(text);
        }
        let (start, bytes): (String, _) = (text.chars().take(SHOWN).collect(), text.len());
        let message = format!("`{start}…` has {bytes} bytes, and no ARN or name has more than {LONGEST}");
        Err(Error::invalid_finding("resource", message))
    }

    /// An error that shows what the finding calls its resource.
    fn names_wrongly(&self, how: impl std::fmt::Display) -> Error {
        Error::invalid_finding("resource", format!("`{}` {how}", self.resource))
    }

    /// The resource as an ARN, whoever's it is. What only resembles one is no name either.
    fn parsed_arn(&self) -> Result<Option<Arn<'_>>> {
        let text = self.text()?;
        let start: String = text.trim_start().chars().take(4).collect();
        if !["arn:", "arn%"].iter().any(|of| start.eq_ignore_ascii_case(of)) {
            return Ok(None);
        }
        let is_not = "is not an ARN, which is arn:partition:service:region:account:resource with lower-case letters \
                      before the resource";
        Arn::parse(text).map(Some).ok_or_else(|| self.names_wrongly(is_not))
    }
}

impl Finding {
    /// The finding's resource as an ARN of `service`; none where it is a name or an ID.
    ///
    /// # Errors
    ///
    /// It is not a whole ARN, or it is one of another service, partition, account or region than the finding's. An ARN
    /// without an account or a region, and a finding without a region, leave nothing to compare.
    pub fn arn(&self, service: &str) -> Result<Option<Arn<'_>>> {
        let Some(arn) = self.arn_of_anyone(service)? else { return Ok(None) };
        if !arn.account.is_empty() && arn.account != self.account.as_ref() {
            let how = format!("belongs to the account {}, but the finding is of {}", arn.account, self.account);
            return Err(self.names_wrongly(how));
        }
        if !arn.region.is_empty() && !self.region.is_global() && arn.region != self.region.as_ref() {
            let how = format!("is in the region {}, but the finding is of {}", arn.region, self.region);
            return Err(self.names_wrongly(how));
        }
        Ok(Some(arn))
    }

    /// The same, whatever account and region it is of: for what AWS shows beyond them by its own ARN.
    ///
    /// # Errors
    ///
    /// It is not a whole ARN, or it is one of another service or partition.
    pub fn arn_of_anyone(&self, service: &str) -> Result<Option<Arn<'_>>> {
        let Some(arn) = self.parsed_arn()? else { return Ok(None) };
        if arn.service != service {
            return Err(self.names_wrongly(format!("is an ARN of the service {}, not of {service}", arn.service)));
        }
        let its_own = (!arn.region.is_empty()).then_some(arn.region);
        let findings = (!self.region.is_global()).then_some(self.region.as_ref());
        for region in its_own.into_iter().chain(findings) {
            self.is_of_partition(arn, partition(region))?;
        }
        Ok(Some(arn))
    }

    fn is_of_partition(&self, arn: Arn<'_>, partition: &str) -> Result<()> {
        if arn.partition == partition {
            return Ok(());
        }
        let how = format!("is of the partition {}, but the finding is of {partition}", arn.partition);
        Err(self.names_wrongly(how))
    }
}

/// A region is a part of the hosts that are called, so nothing else may be in it.
fn is_region_code(text: &str) -> bool {
    let is_of_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(is_of_code)
}

/// What names of a kind of resource look like.
#[derive(Debug, Clone, Copy)]
pub struct NameForm {
    /// The service in its ARNs, such as `redshift`.
    pub service: &'static str,
    /// What such a name is, for messages, such as "a Redshift cluster's identifier".
    pub what: &'static str,
    /// The name in the last part of an ARN, such as `warehouse` in `cluster:warehouse`.
    pub in_arn: fn(&str) -> Option<&str>,
    /// Whether a text can be such a name.
    pub is_name: fn(&str) -> bool,
}

/// How a finding names a resource: by a name, alone or in an ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The ARN that has it.
    pub arn: Option<Arn<'a>>,
}

impl Named<'_> {
    /// Whether it is an ARN with account and region: what AWS does not find by it is gone, while a name may be wrong.
    pub fn is_exact(self) -> bool {
        self.arn.is_some_and(|arn| !arn.account.is_empty() && !arn.region.is_empty())
    }
}

impl Finding {
    /// How the finding names a resource whose names have this form.
    ///
    /// # Errors
    ///
    /// [`Finding::arn`]'s, and a text that is neither such a name nor the ARN of one.
    pub fn named(&self, form: &NameForm) -> Result<Named<'_>> {
        self.named_by(form, self.arn(form.service)?)
    }

    /// The same of a resource that has no region, in a session of `partition`: the finding does not say which one it
    /// is of.
    ///
    /// # Errors
    ///
    /// [`Finding::named`]'s, and an ARN of another partition.
    pub fn named_in(&self, partition: &str, form: &NameForm) -> Result<Named<'_>> {
        let named = self.named(form)?;
        named.arn.map_or(Ok(()), |arn| self.is_of_partition(arn, partition))?;
        Ok(named)
    }

    /// The same, also by an ARN of another account or region.
    ///
    /// # Errors
    ///
    /// [`Finding::arn_of_anyone`]'s, and a text that is neither such a name nor the ARN of one.
    pub fn named_by_anyone(&self, form: &NameForm) -> Result<Named<'_>> {
        self.named_by(form, self.arn_of_anyone(form.service)?)
    }

    fn named_by<'a>(&'a self, form: &NameForm, arn: Option<Arn<'a>>) -> Result<Named<'a>> {
        let name = arn.map_or(Some(self.resource.as_str()), |arn| (form.in_arn)(arn.resource));
        let name = name.filter(|name| (form.is_name)(name));
        let name = name.ok_or_else(|| self.names_wrongly(format!("is neither {} nor its ARN", form.what)))?;
        Ok(Named { name, arn })
    }
}

/// How a finding names a resource of EC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ec2Name<'a> {
    /// By its ID, alone or in an ARN.
    Id(&'a str),
    /// By something else: its tag `Name`, where its type has no other names.
    Name(&'a str),
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
            let message = format!("the finding names no region, and the {kind} `{}` is in one", self.text()?);
            return Err(Error::invalid_finding("region", message));
        }
        let invalid = || self.names_wrongly(format!("is neither the ID of a {kind} ({prefix}-…), its ARN nor a name"));
        if let Some(arn) = self.arn("ec2")? {
            let id = arn.resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
            return id.filter(|id| is_ec2_id(id, prefix)).map(Ec2Name::Id).ok_or_else(invalid);
        }
        let text = self.resource.as_str();
        match text {
            id if is_ec2_id(id, prefix) => Ok(Ec2Name::Id(id)),
            text if text.trim().is_empty() || text.chars().count() > LONGEST_TAG => Err(invalid()),
            text => Ok(Ec2Name::Name(text)),
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
            (_, _, Self::Name(name)) => {
                let message =
                    format!("`{name}` is not an ID, and {count} resources have it as their tag Name: give the ID");
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
            ("ARN:aws:rds:us-east-1:222222222222:db:x", "is not an ARN"),
            ("arn%3Aaws%3Ards%3Aus-east-1%3A222222222222%3Adb%3Ax", "is not an ARN"),
            (" arn:aws:rds:us-east-1:222222222222:db:x", "is not an ARN"),
            ("arn:aws:rds:us-east-1.example.com/:222222222222:db:x", "is not an ARN"),
            ("arn:aws-cn:rds:us-east-1:222222222222:db:x", "partition aws-cn, but the finding is of aws"),
            ("arn:aws:rds:cn-north-1:222222222222:db:x", "partition aws, but the finding is of aws-cn"),
        ] {
            let error = Finding::of(ACCOUNT, "us-east-1", text).arn("rds").unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{text}");
            assert!(error.message.contains(says) && error.message.contains(text), "{error}");
        }
    }

    #[test]
    fn a_text_that_is_longer_than_any_name_is_not_even_located() {
        for scope in [Scope::Regional, Scope::Located, Scope::Global] {
            let (fits, long) = ("a".repeat(LONGEST), "a".repeat(LONGEST + 1));
            assert!(Finding::of(ACCOUNT, "us-east-1", &fits).located(scope).is_ok());
            for region in ["us-east-1", "global"] {
                let error = Finding::of(ACCOUNT, region, &long).located(scope).unwrap_err();
                assert_eq!((error.kind, error.action.as_str()), (ErrorKind::InvalidFinding, "finding's resource"));
                assert!(error.message.contains("2049 bytes") && error.message.len() < 200, "{error}");
            }
        }
    }

    #[test]
    fn a_region_is_a_code_and_no_host() {
        let long = "a".repeat(64);
        let regions =
            ["", "us-east-1.example.com", "us-east-1/", "us-east-1@example.com", "US-EAST-1", "us east 1", "é", &long];
        for region in regions {
            for scope in [Scope::Regional, Scope::Located, Scope::Global] {
                let error = Finding::of(ACCOUNT, region, "x").located(scope).unwrap_err();
                assert_eq!((error.kind, error.action.as_str()), (ErrorKind::InvalidFinding, "finding's region"));
            }
        }
        for region in ["us-east-1", "eusc-de-east-1", "us-isob-east-1"] {
            assert!(Finding::of(ACCOUNT, region, "x").located(Scope::Regional).is_ok(), "{region}");
        }
    }

    #[test]
    fn a_name_of_a_form_stands_alone_or_in_an_arn() {
        const DOOR: NameForm = NameForm {
            service: "test",
            what: "a door's name",
            in_arn: |resource| resource.strip_prefix("door/"),
            is_name: |name| name.len() < 9,
        };
        let of = |text: &str| Finding::of(ACCOUNT, "us-east-1", text);
        for (text, is_exact) in [
            ("front", false),
            ("arn:aws:test:us-east-1:222222222222:door/front", true),
            ("arn:aws:test:::door/front", false),
        ] {
            let finding = of(text);
            let named = finding.named(&DOOR).unwrap();
            assert_eq!((named.name, named.is_exact()), ("front", is_exact), "{text}");
        }
        for text in ["much-too-long", "arn:aws:test:us-east-1:222222222222:window/front"] {
            let error = of(text).named(&DOOR).unwrap_err();
            assert!(error.message.ends_with("is neither a door's name nor its ARN"), "{error}");
        }
        let theirs = of("arn:aws:test:eu-west-1:333333333333:door/front");
        assert!(theirs.named(&DOOR).is_err());
        assert_eq!(theirs.named_by_anyone(&DOOR).unwrap().name, "front");
        let nowhere = of("arn:aws:test:::door/front");
        let global = Finding { region: Region::global(), ..nowhere };
        assert!(global.named_in("aws", &DOOR).is_ok() && global.named_in("aws-cn", &DOOR).is_err());
    }

    #[test]
    fn a_resource_of_ec2_is_named_by_id_arn_or_name() {
        let acl = "acl-0123456789abcdef0";
        for (resource, expected) in [
            (acl, Ec2Name::Id(acl)),
            ("acl-0123abcd", Ec2Name::Id("acl-0123abcd")),
            ("arn:aws:ec2:us-east-1:222222222222:network-acl/acl-0123456789abcdef0", Ec2Name::Id(acl)),
            // Neither of the two lengths, not hexadecimal, or of another type: a name.
            ("acl-0123", Ec2Name::Name("acl-0123")),
            ("acl-frontend", Ec2Name::Name("acl-frontend")),
            ("vpc-0123abcd", Ec2Name::Name("vpc-0123abcd")),
            ("our edge", Ec2Name::Name("our edge")),
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
            ("global", "acl-0123abcd", "names no region"),
        ] {
            let error = Finding::of(ACCOUNT, region, resource).ec2_name("network-acl", "acl").unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFinding, "{resource}");
            assert!(error.message.contains(says), "{error}");
        }
    }

    #[test]
    fn only_one_resource_may_have_the_name() {
        assert_eq!(Ec2Name::Name("edge").only("ec2:DescribeVpcs", vec![1]), Ok(1));
        for (count, says) in
            [(0, "0 resources have it as their tag Name"), (2, "2 resources have it as their tag Name")]
        {
            let error = Ec2Name::Name("edge").only("ec2:DescribeVpcs", vec![1; count]).unwrap_err();
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
