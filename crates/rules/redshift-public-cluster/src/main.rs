//! The Lambda of the rule `redshift-public-cluster`.
fn main() -> Result<(), rule_lambda::Error> {
    rule_lambda::run::<redshift_public_cluster::RedshiftPublicCluster>()
}
