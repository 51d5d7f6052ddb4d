//! The rules, as their `rule.json` describes them, and the calls that a fix of each needs.
//!
//! [`Rule::needs`] is the table by which the floor of a run is computed: what AWS asks for the fix of a violation as the
//! stand-in makes it, under a policy with the default guards, if every read is collected where AWS takes many. A call
//! that is not in it is made for safety's sake, or is one too many.
//!
//! | rule | look | guard | write | prove |
//! | --- | --- | --- | --- | --- |
//! | cloudtrail-unvalidated-logs | DescribeTrails, which lists all of an account | | start of the runbook, its end | DescribeTrails of all |
//! | iam-stale-access-key | GetUser (only its ARN has the path), ListAccessKeys | GetAccessKeyLastUsed | UpdateAccessKey | ListAccessKeys |
//! | network-acl-open-ingress | DescribeNetworkAcls of 200 | none where nobody is cut off | DeleteNetworkAclEntry | DescribeNetworkAcls of 200 |
//! | rds-public-snapshot | DescribeDBInstances and DescribeDBSnapshots of 100; DescribeDBSnapshotAttributes | | ModifyDBSnapshotAttribute | DescribeDBSnapshotAttributes |
//! | redshift-public-cluster | DescribeClusters, by pages of 100 | | start of the runbook, its end | DescribeClusters, by pages of 100 |
//! | s3-public-bucket | GetPublicAccessBlock | GetBucketWebsite | PutPublicAccessBlock | GetPublicAccessBlock |
//! | security-group-open-admin-port | DescribeSecurityGroups, -Rules and DescribeVpcs of 200 | DescribeNetworkInterfaces of 200 | RevokeSecurityGroupIngress | DescribeSecurityGroups of 200 |
//! | vpc-without-flow-logs | DescribeVpcs, -FlowLogs and -NetworkInterfaces of 200, DescribeLogGroups by pages of 50 | | CreateLogGroup, PutRetentionPolicy, CreateFlowLogs | DescribeFlowLogs of 200; DescribeLogStreams |
//!
//! 200 is the most values that a filter of EC2 takes; the pages are those of each API's reference.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html>

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum Rule {
    /// A trail whose log files nobody can validate.
    #[serde(rename = "cloudtrail-unvalidated-logs")]
    #[value(name = "cloudtrail-unvalidated-logs")]
    CloudTrailUnvalidatedLogs,
    /// An old access key.
    IamStaleAccessKey,
    /// A network ACL that lets in everything.
    NetworkAclOpenIngress,
    /// A snapshot that anyone may restore.
    RdsPublicSnapshot,
    /// A cluster that the internet can reach.
    RedshiftPublicCluster,
    /// A public bucket.
    #[serde(rename = "s3-public-bucket")]
    #[value(name = "s3-public-bucket")]
    S3PublicBucket,
    /// A security group that lets everyone in to SSH or RDP.
    SecurityGroupOpenAdminPort,
    /// A VPC whose traffic nobody records.
    VpcWithoutFlowLogs,
}

/// A call that a fix needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Such as `ec2:DescribeVpcs`.
    pub(crate) api: &'static str,
    /// Of so many resources of an account at once.
    pub(crate) of: usize,
}

/// Of one resource.
const fn each(api: &'static str) -> Need {
    Need { api, of: 1 }
}

const fn together(api: &'static str, of: usize) -> Need {
    Need { api, of }
}

/// DescribeTrails has no pages.
const ALL: usize = usize::MAX;

impl Rule {
    /// Its ID.
    pub fn id(self) -> &'static str {
        match self {
            Self::CloudTrailUnvalidatedLogs => "cloudtrail-unvalidated-logs",
            Self::IamStaleAccessKey => "iam-stale-access-key",
            Self::NetworkAclOpenIngress => "network-acl-open-ingress",
            Self::RdsPublicSnapshot => "rds-public-snapshot",
            Self::RedshiftPublicCluster => "redshift-public-cluster",
            Self::S3PublicBucket => "s3-public-bucket",
            Self::SecurityGroupOpenAdminPort => "security-group-open-admin-port",
            Self::VpcWithoutFlowLogs => "vpc-without-flow-logs",
        }
    }

    fn manifest(self) -> &'static str {
        match self {
            Self::CloudTrailUnvalidatedLogs => include_str!("../../rules/cloudtrail-unvalidated-logs/rule.json"),
            Self::IamStaleAccessKey => include_str!("../../rules/iam-stale-access-key/rule.json"),
            Self::NetworkAclOpenIngress => include_str!("../../rules/network-acl-open-ingress/rule.json"),
            Self::RdsPublicSnapshot => include_str!("../../rules/rds-public-snapshot/rule.json"),
            Self::RedshiftPublicCluster => include_str!("../../rules/redshift-public-cluster/rule.json"),
            Self::S3PublicBucket => include_str!("../../rules/s3-public-bucket/rule.json"),
            Self::SecurityGroupOpenAdminPort => include_str!("../../rules/security-group-open-admin-port/rule.json"),
            Self::VpcWithoutFlowLogs => include_str!("../../rules/vpc-without-flow-logs/rule.json"),
        }
    }

    /// The name of its first control.
    ///
    /// # Errors
    ///
    /// Its `rule.json` has none.
    pub fn control(self) -> Result<String, serde_json::Error> {
        let manifest: Value = serde_json::from_str(self.manifest())?;
        serde_json::from_value(manifest["controls"][0]["rule_names"][0].clone())
    }

    /// Whether its resources are of no region.
    pub fn is_global(self) -> bool {
        self == Self::IamStaleAccessKey
    }

    /// The calls in the target account that a fix needs.
    pub(crate) fn needs(self) -> &'static [Need] {
        match self {
            Self::CloudTrailUnvalidatedLogs => {
                const {
                    &[
                        together("cloudtrail:DescribeTrails", ALL),
                        each("ssm:StartAutomationExecution"),
                        each("ssm:GetAutomationExecution"),
                        together("cloudtrail:DescribeTrails", ALL),
                    ]
                }
            }
            Self::IamStaleAccessKey => {
                const {
                    &[
                        each("iam:GetUser"),
                        each("iam:ListAccessKeys"),
                        each("iam:GetAccessKeyLastUsed"),
                        each("iam:UpdateAccessKey"),
                        each("iam:ListAccessKeys"),
                    ]
                }
            }
            Self::NetworkAclOpenIngress => {
                const {
                    &[
                        together("ec2:DescribeNetworkAcls", 200),
                        each("ec2:DeleteNetworkAclEntry"),
                        together("ec2:DescribeNetworkAcls", 200),
                    ]
                }
            }
            Self::RdsPublicSnapshot => {
                const {
                    &[
                        together("rds:DescribeDBInstances", 100),
                        together("rds:DescribeDBSnapshots", 100),
                        each("rds:DescribeDBSnapshotAttributes"),
                        each("rds:ModifyDBSnapshotAttribute"),
                        each("rds:DescribeDBSnapshotAttributes"),
                    ]
                }
            }
            Self::RedshiftPublicCluster => {
                const {
                    &[
                        together("redshift:DescribeClusters", 100),
                        each("ssm:StartAutomationExecution"),
                        each("ssm:GetAutomationExecution"),
                        together("redshift:DescribeClusters", 100),
                    ]
                }
            }
            Self::S3PublicBucket => {
                const {
                    &[
                        each("s3:GetPublicAccessBlock"),
                        each("s3:GetBucketWebsite"),
                        each("s3:PutPublicAccessBlock"),
                        each("s3:GetPublicAccessBlock"),
                    ]
                }
            }
            Self::SecurityGroupOpenAdminPort => {
                const {
                    &[
                        together("ec2:DescribeSecurityGroups", 200),
                        together("ec2:DescribeSecurityGroupRules", 200),
                        together("ec2:DescribeVpcs", 200),
                        together("ec2:DescribeNetworkInterfaces", 200),
                        each("ec2:RevokeSecurityGroupIngress"),
                        together("ec2:DescribeSecurityGroups", 200),
                    ]
                }
            }
            Self::VpcWithoutFlowLogs => {
                const {
                    &[
                        together("ec2:DescribeVpcs", 200),
                        together("ec2:DescribeFlowLogs", 200),
                        together("ec2:DescribeNetworkInterfaces", 200),
                        together("logs:DescribeLogGroups", 50),
                        each("logs:CreateLogGroup"),
                        each("logs:PutRetentionPolicy"),
                        each("ec2:CreateFlowLogs"),
                        together("ec2:DescribeFlowLogs", 200),
                        each("logs:DescribeLogStreams"),
                    ]
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_manifest_and_is_called_by_its_id() {
        for rule in Rule::value_variants() {
            let manifest: Value = serde_json::from_str(rule.manifest()).unwrap();
            assert_eq!(manifest["id"], rule.id());
            assert_eq!(manifest["scope"] == "global", rule.is_global(), "{rule:?}");
            assert!(!rule.control().unwrap().is_empty());
            assert_eq!(rule.to_possible_value().unwrap().get_name(), rule.id());
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.id());
        }
        let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules")).unwrap();
        let rules = folders.filter(|folder| folder.as_ref().unwrap().path().join("rule.json").exists());
        assert_eq!(Rule::value_variants().len(), rules.count());
    }
}
