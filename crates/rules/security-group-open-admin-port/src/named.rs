//! What a finding's resource names: a security group by its ID, or by a group name, which cannot begin as an ID does.

use remediation::{Ec2Name, Error, Finding, Result};

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html>
pub(crate) fn parse(finding: &Finding) -> Result<Ec2Name<'_>> {
    match finding.ec2_name("security-group", "sg")? {
        Ec2Name::Name(name) if !is_name(name) => {
            let message = format!("`{name}` is neither the ID of a security group (sg-…), its ARN nor a group name");
            Err(Error::invalid_finding("resource", message))
        }
        named => Ok(named),
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    !text.starts_with("sg-") && (1..=255).contains(&text.len()) && text.chars().all(allowed)
}
