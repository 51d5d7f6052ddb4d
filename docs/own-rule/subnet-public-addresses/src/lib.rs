//! The rule `subnet-public-addresses`: a subnet that gives every instance a public IPv4 address, unless the launch says
//! otherwise. The fix and its undo set one attribute of the subnet; addresses that are given stay.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{AttributeBooleanValue, Subnet};
use remediation::{
    Ec2Name, Error, Finding, NoParameters, Proposal, Resource, Result, Rule, Seen, Side, Tags, Target, call, partition,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DESCRIBE: &str = "ec2:DescribeSubnets";
const MODIFY: &str = "ec2:ModifySubnetAttribute";
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
const NO_SUBNET: &[&str] = &["InvalidSubnetID.NotFound"];

/// The rule.
#[derive(Debug)]
pub struct SubnetPublicAddresses;

/// The rule has no settings of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// What an instance gets where its launch does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    /// A public IPv4 address, beside the private one.
    Public,
    /// A private address alone.
    Private,
}

/// How a subnet stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What an instance gets.
    pub address: Address,
    /// Its tags.
    pub tags: Tags,
}

/// What an instance gets, as it was found and as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// As it was found.
    pub before: Address,
    /// As it is written.
    pub after: Address,
}

impl Rule for SubnetPublicAddresses {
    const MANIFEST: &'static str = include_str!("../rule.json");
    type Settings = Settings;
    type Control = NoParameters;
    type Client = Client;
    type State = State;
    type Change = Change;

    fn client(target: &Target) -> Self::Client {
        Client::new(&target.config)
    }

    async fn look(client: &Self::Client, finding: &Finding) -> Result<Seen<State>> {
        let Ec2Name::Id(id) = finding.ec2_name("subnet", "subnet")? else {
            return Err(Error::invalid_finding("resource", "a subnet is named by its ID or its ARN"));
        };
        let subnet = describe(client, id).await?;
        // A subnet that is shared can be seen by accounts that do not own it.
        let owner = subnet.owner_id().and_then(|owner| owner.parse().ok());
        let owner = owner.ok_or_else(|| Error::unusable(DESCRIBE, "a subnet without its owner"))?;
        let address = match subnet.map_public_ip_on_launch {
            Some(true) => Address::Public,
            Some(false) => Address::Private,
            None => return Err(Error::unusable(DESCRIBE, "a subnet without MapPublicIpOnLaunch")),
        };
        let region = finding.region.clone();
        let arn = format!("arn:{}:ec2:{region}:{owner}:subnet/{id}", partition(region.as_ref()));
        let resource = Resource { arn, owner, region, id: id.to_owned(), names: BTreeSet::new() };
        let tags = subnet.tags.unwrap_or_default().into_iter();
        let tags = tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect();
        Ok(Seen::now(resource, State { address, tags }))
    }

    fn plan(seen: &Seen<State>, _: &[&NoParameters], _: &Settings) -> Proposal<Change> {
        match seen.state.address {
            Address::Public => vec![Change { before: Address::Public, after: Address::Private }].into(),
            Address::Private => Proposal::default(),
        }
    }

    async fn tags(_: &Self::Client, seen: &Seen<State>) -> Result<Tags> {
        Ok(seen.state.tags.clone())
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySubnetAttribute.html>
    async fn apply(client: &Self::Client, resource: &Resource, change: &Change) -> Result<()> {
        let is_public = AttributeBooleanValue::builder().value(change.after == Address::Public).build();
        let modify = || {
            let modify = client.modify_subnet_attribute().subnet_id(&resource.id);
            modify.map_public_ip_on_launch(is_public.clone()).send()
        };
        call(MODIFY, modify).await.map(drop).map_err(|error| error.gone_if(NO_SUBNET))
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before }
    }

    fn side(change: &Change, state: &State) -> Side {
        Side::of(&state.address, &change.before, &change.after)
    }
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>
async fn describe(client: &Client, id: &str) -> Result<Subnet> {
    let found = call(DESCRIBE, || client.describe_subnets().subnet_ids(id).send()).await;
    let found = found.map_err(|error| error.gone_if(NO_SUBNET))?.subnets.unwrap_or_default();
    let found = found.into_iter().find(|subnet| subnet.subnet_id() == Some(id));
    found.ok_or_else(|| Error::unusable(DESCRIBE, "nothing of the ID that was asked for"))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.after {
            Address::Private => "instances get a public address only where their launch asks for one",
            Address::Public => "instances get a public address unless their launch says otherwise",
        })
    }
}

#[cfg(test)]
mod tests {
    use rule_testing::{ACCOUNT, REGION, World, hold};

    use super::*;

    impl World for SubnetPublicAddresses {
        fn write(state: &mut State, change: &Change) {
            state.address = change.after;
        }

        fn open(state: &State) -> BTreeSet<String> {
            if state.address == Address::Public { BTreeSet::from(["the internet".to_owned()]) } else { BTreeSet::new() }
        }
    }

    #[test]
    fn the_laws_hold() {
        let (owner, region, id) =
            (ACCOUNT.parse().unwrap(), remediation::Region::code(REGION), "subnet-00000001".to_owned());
        let arn = format!("arn:aws:ec2:{region}:{ACCOUNT}:subnet/{id}");
        let subnet = Resource { arn, owner, region, id, names: BTreeSet::new() };
        for address in [Address::Public, Address::Private] {
            let state = State { address, tags: Tags::new() };
            hold::<SubnetPublicAddresses>(&subnet, &state, &[NoParameters {}], &Settings {});
        }
    }
}
