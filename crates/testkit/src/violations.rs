//! One violating resource for each control that Netskope lists, and a look at it afterwards that uses no rule's code.

use aws_sdk_ec2::types::RuleAction;
use remediation::{Control, Manifest, Region};
use serde_json::{Value, json};

use crate::account::Account;
use crate::clusters::Clusters;
use crate::emulator::Emulator;
use crate::netskope::{display_name, row};
use crate::network_acls::NetworkAcls;
use crate::security_groups::SecurityGroups;
use crate::snapshots::{Database, Databases};
use crate::trails::{TrailScope, Trails};
use crate::vpcs::Vpcs;
use crate::{Result, manifests};

/// The age in days of a stale access key; 90 is the most that the rule lets pass.
const STALE: i64 = 400;

/// A resource that fails a control.
#[derive(Debug)]
pub struct Violation {
    /// The ID of the rule that serves the control.
    pub rule: String,
    /// The control.
    pub control: Control,
    /// Where the finding is: in a region, or global.
    pub region: Region,
    /// The resource, as Netskope names it.
    pub resource: String,
    kind: Kind,
    account: Account,
}

/// What can be wrong with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AccessKey,
    Bucket,
    Cluster,
    DefaultAcl,
    Rdp,
    Snapshot,
    Ssh,
    SubnetAcl,
    Trail,
    Vpc,
}

/// Every kind with Netskope's short name of its control.
const KINDS: [(&str, Kind); 10] = [
    ("BPR-0-1-0", Kind::SubnetAcl),
    ("BPR-0-6", Kind::DefaultAcl),
    ("BPR-1-0-0", Kind::Bucket),
    ("BPR-1-9", Kind::Cluster),
    ("BPR-3-8", Kind::Snapshot),
    ("CIS-1-2-0-1-4", Kind::AccessKey),
    ("CIS-1-2-0-2-2", Kind::Trail),
    ("CIS-1-2-0-2-9", Kind::Vpc),
    ("CIS-1-2-0-4-1", Kind::Ssh),
    ("CIS-1-2-0-4-2", Kind::Rdp),
];
/// All addresses, of both families.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The policy under which each of them is fixed without a person: the guards that hold by default warn.
pub fn policy() -> Value {
    json!({
        "mode": "apply",
        "rules": {
            "iam-stale-access-key": {"settings": {"guard_recent_use": "warn"}},
            "network-acl-open-ingress": {"settings": {"guard_last_allow": "warn"}},
        },
    })
}

impl Kind {
    fn of(control: &Control) -> Result<Self> {
        let found = KINDS.iter().find(|(short_name, _)| *short_name == control.short_name);
        let (_, kind) = found.ok_or_else(|| format!("no violation is made for the control {}", control.short_name))?;
        Ok(*kind)
    }

    /// Whether its resources are in no region.
    fn is_global(self) -> bool {
        self == Self::AccessKey
    }

    /// Makes a violating resource, and gives its name.
    async fn make(self, emulator: &Emulator, account: &Account) -> Result<String> {
        Ok(match self {
            Self::AccessKey => {
                account.make_user(emulator, "/", "build-server", &[STALE]).await?;
                "build-server".into()
            }
            Self::Bucket => {
                let name = format!("website-{}-{}", account.id, account.region);
                account.make_bucket(&name, None).await?;
                name
            }
            Self::Cluster => {
                Clusters::of(account).make("warehouse", true).await?;
                "warehouse".into()
            }
            Self::DefaultAcl => NetworkAcls::of(account).make_default("office", false).await?,
            Self::Rdp => {
                let groups = SecurityGroups::of(account);
                let vpc = groups.make_vpc().await?;
                groups.make("desktops", &vpc, &["tcp 3000-4000 0.0.0.0/0 all our tools"]).await?
            }
            Self::Snapshot => {
                Databases::of(account).make(Database::Instance, "orders", false, &["all"]).await?;
                "orders".into()
            }
            Self::Ssh => {
                let groups = SecurityGroups::of(account);
                groups.make("bastion", &groups.default_vpc().await?, &["tcp 22-22 0.0.0.0/0 for a moment"]).await?
            }
            Self::SubnetAcl => {
                let acls = NetworkAcls::of(account);
                let (vpc, acl) = acls.make_custom("backend").await?;
                acls.add(&acl, 100, RuleAction::Allow, "-1", "0.0.0.0/0").await?;
                acls.associate(&vpc, 1, &acl).await?;
                acl
            }
            Self::Trail => Trails::of(account).make("audit", false, TrailScope::Region).await?,
            Self::Vpc => Vpcs::of(account).make_in_use("frontend").await?,
        })
    }

    async fn complies(self, account: &Account, resource: &str) -> Result<bool> {
        Ok(match self {
            Self::AccessKey => {
                let keys = account.access_keys(resource).await?;
                keys.as_array().is_some_and(|keys| keys.iter().all(|key| key["status"] == "Inactive"))
            }
            Self::Bucket => {
                let settings = account.public_access_block(resource).await?;
                settings.is_some_and(|[_, ignore_acls, _, restrict]| ignore_acls && restrict)
            }
            Self::Cluster => Clusters::of(account).settled(resource).await?.publicly_accessible == Some(false),
            Self::DefaultAcl | Self::SubnetAcl => {
                let allowed = NetworkAcls::of(account).allowed(resource).await?;
                let is_open = |entry: &String| EVERYWHERE.iter().any(|from| entry.ends_with(&format!(" -1 {from}")));
                !allowed.iter().any(is_open)
            }
            Self::Rdp => !is_open(account, resource, 3389).await?,
            Self::Ssh => !is_open(account, resource, 22).await?,
            Self::Trail => Trails::of(account).get(resource).await?.log_file_validation_enabled == Some(true),
            Self::Vpc => {
                let flow_logs = Vpcs::of(account).flow_logs(resource).await?;
                flow_logs.iter().any(|of| of.deliver_logs_status() == Some("SUCCESS"))
            }
            Self::Snapshot => {
                let restore = Databases::of(account).restore(Database::Instance, &format!("{resource}-manual")).await?;
                !restore.iter().any(|who| who == "all")
            }
        })
    }

    /// What is wrong with the resource as it is made.
    fn found(self) -> String {
        match self {
            Self::AccessKey => format!("an active key that is {STALE} days old"),
            Self::Bucket => "a policy that lets everyone read, and no public access block".into(),
            Self::Cluster => "a cluster that is publicly accessible".into(),
            Self::DefaultAcl => "a default ACL as AWS makes it: everything may come in".into(),
            Self::Rdp => "ports 3000 to 4000 open to the world".into(),
            Self::Ssh => "port 22 open to the world".into(),
            Self::SubnetAcl => "a subnet's ACL that lets everything in".into(),
            Self::Trail => "a trail without log file validation".into(),
            Self::Vpc => "a VPC without a flow log".into(),
            Self::Snapshot => "a manual snapshot that everyone may restore".into(),
        }
    }
}

/// Whether a security group lets everyone in to a port by TCP.
async fn is_open(account: &Account, group: &str, port: u16) -> Result<bool> {
    let opens = |rule: &String| {
        let [protocol, ports, peer] = rule.splitn(3, ' ').collect::<Vec<_>>()[..] else { return true };
        let range = ports.split_once('-').and_then(|(from, to)| Some(from.parse::<u16>().ok()?..=to.parse().ok()?));
        let in_range = protocol == "tcp" && range.is_some_and(|range| range.contains(&port));
        EVERYWHERE.contains(&peer) && (protocol == "-1" || in_range)
    };
    Ok(SecurityGroups::of(account).rules(group).await?.iter().any(opens))
}

impl Violation {
    /// Makes one violation of each control of every rule: in each region of the account, or once where it is global.
    ///
    /// # Errors
    ///
    /// A control for which none can be made, or the emulator refuses.
    pub async fn make_all(emulator: &Emulator, account: &Account, regions: &[String]) -> Result<Vec<Self>> {
        let mut made = Vec::new();
        for Manifest { id, controls, .. } in manifests()? {
            for control in controls {
                let kind = Kind::of(&control)?;
                let regions = if kind.is_global() { &regions[..1] } else { regions };
                for region in regions {
                    let account = account.in_region(region);
                    let resource = kind.make(emulator, &account).await?;
                    let region = if kind.is_global() { Region::global() } else { Region::code(region) };
                    let of = Self { rule: id.clone(), control: control.clone(), region, resource, kind, account };
                    // So that the look at the end is one that can fail.
                    if of.complies().await? {
                        return Err(format!("{of:?} complies as it is made").into());
                    }
                    made.push(of);
                }
            }
        }
        Ok(made)
    }

    /// The ID of the account that has the resource.
    pub fn account(&self) -> &str {
        &self.account.id
    }

    /// The row that Netskope has for it.
    ///
    /// # Errors
    ///
    /// A region of which Netskope's name is not known here.
    pub fn row(&self) -> Result<Value> {
        let region = display_name(&self.region.to_string())?;
        Ok(row(&self.control.rule_names[0], self.account(), region, &self.resource))
    }

    /// What is wrong with the resource as it was made, in a few words.
    pub fn found(&self) -> String {
        self.kind.found()
    }

    /// Whether the resource complies now: a look with the account's own full rights.
    ///
    /// # Errors
    ///
    /// The resource cannot be looked at.
    pub async fn complies(&self) -> Result<bool> {
        self.kind.complies(&self.account, &self.resource).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_made_for_each_control_of_every_manifest_and_for_no_other() {
        let controls: Vec<_> = manifests().unwrap().into_iter().flat_map(|manifest| manifest.controls).collect();
        for control in &controls {
            Kind::of(control).unwrap();
        }
        assert_eq!(controls.len(), KINDS.len());
    }

    #[test]
    fn what_is_global_is_so_in_its_manifest() {
        for manifest in manifests().unwrap() {
            for control in &manifest.controls {
                let global = manifest.scope == remediation::Scope::Global;
                assert_eq!(Kind::of(control).unwrap().is_global(), global, "{}", manifest.id);
            }
        }
    }
}
