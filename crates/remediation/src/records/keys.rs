//! Every folder of the bucket, spelled once; Terraform spells them once more, in `modules/central`.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{BatchId, hexadecimal};
use crate::aws::{AccountId, Region};
use crate::domain::{Resource, RunId};

/// The key of the policy.
pub const POLICY_KEY: &str = "policy.json";

/// The key of the policy as Terraform wrote it last, whatever somebody has made of the other one since.
pub const DEPLOYED_POLICY_KEY: &str = "policy.deployed.json";

/// The key of the pauses.
pub const PAUSES_KEY: &str = "pauses.json";

/// The key of the turns in which Netskope is asked.
pub const TURNS_KEY: &str = "netskope-turns.json";

/// The name under which the command line keeps the ledgers of its runs: it is no rule's, so that nobody at a command line
/// can write to the ledger of a Lambda's run.
pub const COMMAND_LINE: &str = "command-line";

/// The folders, and whose records each holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Batches, by the poller.
    Findings,
    /// Plans, by rules and by the command line.
    Plans,
    /// Reports, by rules and by the command line.
    Reports,
    /// Approvals, by people.
    Approvals,
    /// Ledgers of runs.
    Ledgers,
    /// Cards of resources.
    Resources,
    /// That somebody wrote in spite of the policy. It is the one folder that is not divided by rules.
    Overrides,
}

impl Folder {
    /// Its name, which is the first part of every key in it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Plans => "plans",
            Self::Reports => "reports",
            Self::Approvals => "approvals",
            Self::Ledgers => "ledgers",
            Self::Resources => "resources",
            Self::Overrides => "overrides",
        }
    }

    /// How the keys of a rule's records in it begin.
    pub fn of(self, rule: &str) -> String {
        format!("{}/{rule}/", self.name())
    }

    /// Whether `key` is in it.
    pub fn holds(self, key: &str) -> bool {
        key.strip_prefix(self.name()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl BatchId {
    /// The key of the batch's findings.
    pub fn findings_key(&self) -> String {
        self.key(Folder::Findings, "ndjson.gz")
    }

    /// The batch of `rule` that has `key` as its [`BatchId::findings_key`], or would have if it were not compressed; none
    /// where it is not such a key.
    pub fn from_findings_key(key: &str, rule: &str) -> Option<Self> {
        Self::from_key(key, Folder::Findings, rule)
    }

    /// The batch of `rule` whose plan, by its first or a later attempt, has this key; none where it is not such a key.
    pub fn from_plan_key(key: &str, rule: &str) -> Option<Self> {
        Self::from_key(key, Folder::Plans, rule)
    }

    /// The batch of `rule` whose report, by its first or a later attempt, has this key; none where it is not such a key.
    pub fn from_report_key(key: &str, rule: &str) -> Option<Self> {
        Self::from_key(key, Folder::Reports, rule)
    }

    /// What sorts before the keys of all records that runs which start at `at`, or later, have in a folder of `rule`.
    pub fn keys_since(folder: Folder, rule: &str, at: Timestamp) -> String {
        let run = RunId::earliest(at);
        format!("{}{}/{run}", folder.of(rule), run.date())
    }

    /// `<date>/<run>-<batch>[.<attempt>].<extension>` in the rule's folder.
    fn from_key(key: &str, folder: Folder, rule: &str) -> Option<Self> {
        let name = key.strip_prefix(&folder.of(rule))?.split_once('/')?.1;
        let (run, rest) = name.rsplit_once('-')?;
        let batch = rest.split('.').next()?.parse().ok()?;
        let id = Self { rule: rule.to_owned(), run: RunId(run.parse().ok()?), batch };
        let is_its = |extension| key.starts_with(id.key(folder, extension).strip_suffix(extension).unwrap_or(key));
        is_its(if folder == Folder::Findings { "ndjson" } else { "json" }).then_some(id)
    }

    /// The key of the batch's plan.
    pub fn plan_key(&self) -> String {
        self.key(Folder::Plans, "json")
    }

    /// The key of the batch's report.
    pub fn report_key(&self) -> String {
        self.key(Folder::Reports, "json")
    }

    fn key(&self, folder: Folder, extension: &str) -> String {
        format!("{}{}/{}-{}.{extension}", folder.of(&self.rule), self.run.date(), self.run, self.batch)
    }
}

/// The key of the ledger of a run's day.
pub(super) fn ledger_key(name: &str, run: RunId) -> String {
    format!("{}{}.json", Folder::Ledgers.of(name), run.date())
}

/// The name of the object that says which fixes of a rule wait for Netskope, beside the cards of its resources.
const AWAITED: &str = "awaited-closures.json";

/// The key of the fixes of a rule that wait.
pub(super) fn awaited_key(rule: &str) -> String {
    format!("{}{AWAITED}", Folder::Resources.of(rule))
}

/// Whether `key` is that of the fixes of some rule that wait, and so of no card.
pub fn is_awaited_key(key: &str) -> bool {
    matches!(key.split('/').collect::<Vec<_>>()[..], [folder, rule, AWAITED]
        if folder == Folder::Resources.name() && !rule.is_empty())
}

/// How the keys of the cards of an account's resources begin.
pub fn cards_of(rule: &str, account: &str) -> String {
    format!("{}{account}/", Folder::Resources.of(rule))
}

/// The key of a resource's card. An ARN can hold what a key cannot, so its digest stands for it.
pub fn card_key(rule: &str, resource: &Resource) -> String {
    let Resource { owner, region, arn, .. } = resource;
    format!("{}{region}/{}.json", cards_of(rule, owner.as_ref()), digest_of(arn))
}

fn digest_of(arn: &str) -> String {
    hexadecimal(&Sha256::digest(arn))
}

/// What a card's key says of its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardPlace {
    /// The rule whose resource it is.
    pub rule: String,
    /// The account that owns it.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
    /// The digest of its ARN.
    digest: String,
}

impl CardPlace {
    /// What `key` says; none where it is no card's.
    pub fn of_key(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(Folder::Resources.name())?.strip_prefix('/')?.split('/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (rule, account, region) = (part()?.to_owned(), part()?.parse().ok()?, Region::code(part()?));
        let digest = part()?.strip_suffix(".json")?.to_owned();
        parts.next().is_none().then_some(Self { rule, account, region, digest })
    }

    /// Whether it is that of the resource with this ARN.
    pub fn is_of(&self, arn: &str) -> bool {
        digest_of(arn) == self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_card_says_whose_it_is() {
        let (arn, region) = ("arn:aws:s3:::data", Region::code("eu-west-1"));
        let (owner, id) = ("222222222222".parse::<AccountId>().unwrap(), "data".to_owned());
        let bucket = Resource { arn: arn.into(), owner: owner.clone(), region, id, names: Default::default() };
        let place = CardPlace::of_key(&card_key("s3-public-bucket", &bucket)).unwrap();
        assert_eq!((place.rule.as_str(), &place.account), ("s3-public-bucket", &owner));
        assert_eq!(place.region, bucket.region);
        assert!(place.is_of(arn) && !place.is_of("arn:aws:s3:::other"));
        for key in [
            "",
            "resources",
            "resources/r/222222222222/eu-west-1",
            "resources/r/222222222222/eu-west-1/x",
            "resources/r/22/eu-west-1/x.json",
            "resources//222222222222/eu-west-1/x.json",
            "resources/r/222222222222/eu-west-1/x/y.json",
            "reports/r/222222222222/eu-west-1/x.json",
        ] {
            assert_eq!(CardPlace::of_key(key), None, "{key}");
        }
    }

    #[test]
    fn the_fixes_of_a_rule_that_wait_are_beside_its_cards_and_are_none() {
        let key = awaited_key("s3-public-bucket");
        assert_eq!(key, "resources/s3-public-bucket/awaited-closures.json");
        assert!(is_awaited_key(&key) && CardPlace::of_key(&key).is_none());
        for other in
            ["resources/awaited-closures.json", "resources/r/a/awaited-closures.json", "plans/r/awaited-closures.json"]
        {
            assert!(!is_awaited_key(other), "{other}");
        }
    }
}
