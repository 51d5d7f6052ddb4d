//! Findings, from a file or from Netskope.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netskope::{Filters, Options};
use poller::{Answer, Limits, PollError, Poller, TokenSource};
use remediation::records::MOST_BYTES;
use remediation::{AccountId, Batch, BatchError, BatchId, Finding, Records, Region, Regions, read_at_most};
use secrecy::SecretString;
use serde::Serialize;

use crate::error::Error;
use crate::session::records::RecordsPlace;
use crate::session::rules::{self, LoadedRule};
use crate::session::tenant::{self, Tenant};

/// Where findings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file; `-` is standard input.
    File(PathBuf),
    /// The lists of a tenant, of these profiles and policies.
    Netskope(Tenant, Filters),
}

/// Which findings are asked for.
pub(crate) struct Query<'a> {
    pub(crate) source: Source,
    pub(crate) rules: &'a [LoadedRule],
    /// The region's code.
    pub(crate) region: &'a str,
    /// The accounts; all of them where none is named.
    pub(crate) accounts: &'a [AccountId],
    /// Where the records are kept.
    pub(crate) place: &'a RecordsPlace,
}

/// The findings to work on, and what is left out.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) batches: Vec<Batch>,
    pub(crate) skipped: Skipped,
    /// What kept a rule's findings from being read. The other rules are worked on.
    pub(crate) problems: Vec<String>,
}

/// How many rows and findings are not acted on, by the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Skipped {
    /// They are in other regions.
    pub(crate) other_regions: usize,
    /// They are in accounts that were not asked for.
    pub(crate) other_accounts: usize,
    /// They are in regions of these names, which are not known.
    pub(crate) unknown_regions: BTreeMap<String, usize>,
    /// They repeat another row.
    pub(crate) duplicates: usize,
    /// They lack an account, a region or a resource, or cannot be read.
    pub(crate) invalid: usize,
    /// They are not about what was asked for, or are not ours to act on.
    #[serde(flatten)]
    pub(crate) rows: netskope::Skipped,
}

/// The longest time for reading a rule's list: a person is waiting.
const LIST_TIME: Duration = Duration::from_secs(240);

/// Reads the findings of the query; `on` is told what is being read.
pub(crate) async fn gather(query: &Query<'_>, on: impl Fn(&str)) -> Result<Gathered, Error> {
    let mut gathered = match &query.source {
        Source::File(path) => from_file(path, query.rules)?,
        Source::Netskope(tenant, filters) => from_netskope(tenant, filters, query, on).await?,
    };
    gathered.keep(query.region, query.accounts);
    Ok(gathered)
}

impl Gathered {
    /// Leaves out what is not in `region` or in `accounts`. Global findings stay: no other region's run would work on
    /// them.
    fn keep(&mut self, region: &str, accounts: &[AccountId]) {
        let own = Region::code(region);
        for batch in &mut self.batches {
            batch.findings.retain(|finding| {
                let here = finding.region == own || finding.region.is_global();
                let asked = accounts.is_empty() || accounts.contains(&finding.account);
                self.skipped.other_regions += usize::from(!here);
                self.skipped.other_accounts += usize::from(here && !asked);
                here && asked
            });
        }
        self.batches.retain(|batch| !batch.findings.is_empty() || !batch.bad_lines.is_empty());
    }

    /// Takes the findings out of which `is_meant`, given their rule's ID, says so; what was left out stays here.
    pub(crate) fn take(&mut self, is_meant: impl Fn(&str, &Finding) -> bool) -> Self {
        let mut taken = Vec::new();
        for batch in &mut self.batches {
            let (id, findings) = (batch.id.clone(), std::mem::take(&mut batch.findings));
            let (meant, rest): (Vec<_>, Vec<_>) = findings.into_iter().partition(|of| is_meant(&id.rule, of));
            batch.findings = rest;
            if !meant.is_empty() {
                taken.push(Batch::new(id, meant));
            }
        }
        self.batches.retain(|batch| !batch.findings.is_empty() || !batch.bad_lines.is_empty());
        Self { batches: taken, ..Self::default() }
    }

    fn skip(&mut self, answer: Answer) {
        self.skipped.other_regions += answer.other_regions;
        self.skipped.duplicates += answer.duplicates;
        self.skipped.invalid += answer.invalid;
        self.skipped.rows += answer.skipped;
        for (name, count) in answer.unknown_regions {
            *self.skipped.unknown_regions.entry(name).or_default() += count;
        }
    }
}

fn from_file(path: &Path, rules: &[LoadedRule]) -> Result<Gathered, Error> {
    let read = if path == Path::new("-") {
        read_at_most(io::stdin(), MOST_BYTES)
    } else {
        File::open(path).and_then(|file| read_at_most(file, MOST_BYTES))
    };
    let bytes = read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(Gathered { batches: vec![read_batch(path, &bytes, rules)?], ..Gathered::default() })
}

/// The batch of whichever of `rules` its header names.
fn read_batch(path: &Path, bytes: &[u8], rules: &[LoadedRule]) -> Result<Batch, Error> {
    let mut other = None;
    for rule in rules {
        match Batch::from_stored(bytes, &rule.manifest.id) {
            Err(BatchError::Rule { found, .. }) => other = Some(found),
            read => return read.map_err(|source| Error::Batch { path: path.to_owned(), source }),
        }
    }
    let (found, every) = (other.unwrap_or_default(), rules::all()?);
    if every.iter().any(|rule| rule.manifest.id == found) {
        return Err(Error::OtherRule { path: path.to_owned(), found, asked: rules::ids(rules) });
    }
    Err(Error::Rule { rule: found, known: rules::ids(&every) })
}

/// Polls as the poller's Lambda does. The batches go to a folder in any case: one that appears in the bucket would
/// start the rule's Lambda.
async fn from_netskope(
    tenant: &Tenant,
    filters: &Filters,
    query: &Query<'_>,
    on: impl Fn(&str),
) -> Result<Gathered, Error> {
    let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
    let folder = match query.place {
        RecordsPlace::Folder(folder) => folder.clone(),
        RecordsPlace::Bucket(_) => scratch.path().to_owned(),
    };
    let poller = Poller { filters: filters.clone(), ..poller(tenant, query, folder, tenant::token()?)? };
    let mut gathered = Gathered::default();
    for LoadedRule { manifest, .. } in query.rules {
        on(&format!("{}: reading Netskope's list", manifest.id));
        match poll(&poller, &manifest.id).await {
            Ok(Polled { answer, batches }) => {
                gathered.skip(answer);
                gathered.batches.extend(batches);
            }
            Err(Unpolled::Unreachable(problem)) => {
                gathered.problems.push(problem);
                break;
            }
            Err(Unpolled::Rule(problem)) => gathered.problems.push(format!("{}: {problem}", manifest.id)),
        }
    }
    Ok(gathered)
}

/// A rule's list.
struct Polled {
    answer: Answer,
    batches: Vec<Batch>,
}

/// Why a rule's list was not read.
enum Unpolled {
    /// Netskope does not answer, so no other rule's list can be read either.
    Unreachable(String),
    /// This rule's list cannot be read.
    Rule(String),
}

impl From<PollError> for Unpolled {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Incomplete(broken) => {
                let broken = broken.join("; ");
                Self::Rule(format!("the list is incomplete, so none of it was used: {broken}"))
            }
            error if error.is_unreachable() => Self::Unreachable(error.to_string()),
            error => Self::Rule(error.to_string()),
        }
    }
}

async fn poll(poller: &Poller, rule: &str) -> Result<Polled, Unpolled> {
    let answer = poller.poll(rule, tokio::time::Instant::now() + LIST_TIME).await?;
    let mut batches = Vec::new();
    for batch in 1..=answer.batches {
        let id = BatchId { rule: rule.to_owned(), run: answer.run, batch };
        let bytes = poller.records.get(&id.findings_key()).await.map_err(PollError::from)?;
        batches.push(Batch::from_stored(&bytes, rule).map_err(|error| Unpolled::Rule(error.to_string()))?);
    }
    Ok(Polled { answer, batches })
}

fn poller(tenant: &Tenant, query: &Query<'_>, folder: PathBuf, token: SecretString) -> Result<Poller, Error> {
    Ok(Poller {
        manifests: query.rules.iter().map(|rule| rule.manifest.clone()).collect(),
        records: Records::Folder(folder),
        token: TokenSource::given(token),
        endpoint: tenant.endpoint()?,
        options: Options::default(),
        filters: Filters::default(),
        // Nothing is started by these batches.
        limits: Limits { batches: u32::MAX, ..Limits::default() },
        regions: Regions::only(query.region),
        organization: None,
    })
}

#[cfg(test)]
mod tests {
    use remediation::{BatchLineError, RunId};

    use super::*;

    const CONTROL: &str = "Ensure S3 Bucket is not publicly accessible.";

    fn finding(account: &str, region: &str) -> Finding {
        let (account, region) = (account.parse().unwrap(), Region::code(region));
        let control = CONTROL.into();
        Finding { control, account, region, resource: "bucket".into(), first_seen: None, last_scanned: None }
    }

    fn batch(rule: &str, findings: Vec<Finding>) -> Batch {
        Batch::new(BatchId { rule: rule.into(), run: RunId::start(), batch: 1 }, findings)
    }

    #[test]
    fn other_regions_and_accounts_are_counted_and_global_findings_kept() {
        let findings = vec![
            finding("111111111111", "eu-central-1"),
            finding("222222222222", "eu-central-1"),
            finding("111111111111", "us-east-1"),
            finding("111111111111", "global"),
        ];
        let mut gathered = Gathered { batches: vec![batch("s3-public-bucket", findings)], ..Gathered::default() };
        gathered.keep("eu-central-1", &["111111111111".parse().unwrap()]);
        assert_eq!(gathered.batches[0].findings.len(), 2);
        assert_eq!(gathered.skipped, Skipped { other_regions: 1, other_accounts: 1, ..Skipped::default() });
        gathered.keep("us-west-2", &["222222222222".parse().unwrap()]);
        assert!(gathered.batches.is_empty());
    }

    #[test]
    fn findings_that_are_taken_out_are_in_one_place_and_bad_lines_stay() {
        let findings = vec![finding("111111111111", "eu-central-1"), finding("222222222222", "eu-central-1")];
        let mut batch = batch("s3-public-bucket", findings);
        batch.bad_lines = vec![BatchLineError { line: 3, reason: "broken".into() }];
        let mut gathered = Gathered { batches: vec![batch], ..Gathered::default() };
        let of = |account: &'static str| move |_: &str, finding: &Finding| finding.account.as_ref() == account;
        let taken = gathered.take(of("222222222222"));
        let count = |gathered: &Gathered| gathered.batches.iter().map(|batch| batch.findings.len()).collect::<Vec<_>>();
        assert_eq!((count(&gathered), count(&taken)), (vec![1], vec![1]));
        assert_eq!(taken.batches[0].id, gathered.batches[0].id);
        assert!(taken.batches[0].bad_lines.is_empty());
        let taken = gathered.take(of("111111111111"));
        assert_eq!((count(&gathered), count(&taken)), (vec![0], vec![1]), "the bad line has to be reported");
        assert!(gathered.take(of("333333333333")).batches.is_empty());
    }

    #[test]
    fn a_file_is_of_the_rule_that_its_header_names() {
        let rules = rules::all().unwrap();
        let text = batch("s3-public-bucket", vec![finding("111111111111", "eu-central-1")]).to_ndjson().unwrap();
        assert_eq!(read_batch(Path::new("x"), &text, &rules).unwrap().findings.len(), 1);
    }

    #[test]
    fn a_file_of_an_unknown_rule_or_without_a_header_is_refused() {
        let rules = rules::all().unwrap();
        let text = batch("iam-public-user", Vec::new()).to_ndjson().unwrap();
        let error = read_batch(Path::new("x"), &text, &rules).unwrap_err().to_string();
        let known = rules::ids(&rules);
        assert!(error.contains(&format!("`iam-public-user`; the rules are: {known}")), "{error}");
        let error = read_batch(Path::new("findings.ndjson"), b"not a batch", &rules).unwrap_err().to_string();
        assert!(error.contains("findings.ndjson") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_poller_does_not_show_its_token() {
        let tenant = Tenant::Domain("example.goskope.com".into());
        let place = RecordsPlace::Folder("folder".into());
        let source = Source::Netskope(tenant.clone(), Filters::default());
        let query = Query { source, rules: &[], region: "eu-central-1", accounts: &[], place: &place };
        let poller = poller(&tenant, &query, "folder".into(), SecretString::from("s3cr3t-token")).unwrap();
        assert!(!format!("{poller:?}").contains("s3cr3t"));
    }
}
