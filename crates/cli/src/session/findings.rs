//! Findings, from a file or from Netskope.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netskope::{Endpoint, Filters, Options};
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

/// Where findings come from, as far as this machine knows: a file is read, a tenant's address and token are at hand.
#[derive(Debug)]
pub(crate) enum AtHand {
    File(Gathered),
    Netskope { endpoint: Endpoint, filters: Filters, token: SecretString },
}

/// Which findings are asked for.
pub(crate) struct Query<'a> {
    pub(crate) rules: &'a [LoadedRule],
    /// The code of the region that is worked in, which is asked for what has no region, too.
    pub(crate) region: &'a str,
    pub(crate) gates: Gates<'a>,
    /// Where the records are kept.
    pub(crate) place: &'a RecordsPlace,
}

/// Which of the findings are let through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gates<'a> {
    /// Those of the region that is worked in, or all.
    pub(crate) span: Span,
    /// Those of these accounts; all of them where none is named.
    pub(crate) accounts: &'a [AccountId],
    /// Those about these resources, by the findings' text or ARN; all of them where none is named.
    pub(crate) resources: &'a [String],
}

/// Which regions are worked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    OneRegion,
    AllRegions,
}

/// The findings to work on, and what is left out.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) batches: Vec<Batch>,
    pub(crate) skipped: Skipped,
    /// What kept a rule's findings from being read. The other rules are worked on.
    pub(crate) problems: Vec<String>,
    /// The rules of which Netskope lists no finding in any region: that is no error, but nobody shall guess.
    pub(crate) without_findings: Vec<String>,
}

/// How many rows and findings are not acted on, by the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Skipped {
    /// They are in other regions.
    pub(crate) other_regions: usize,
    /// They are in accounts that were not asked for.
    pub(crate) other_accounts: usize,
    /// They are about resources that were not asked for.
    pub(crate) other_resources: usize,
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

/// Reads what is at hand on this machine.
///
/// # Errors
///
/// A file cannot be read or used; a tenant's address is none; there is no token.
pub(crate) fn at_hand(source: Source, rules: &[LoadedRule]) -> Result<AtHand, Error> {
    Ok(match source {
        Source::File(path) => AtHand::File(from_file(&path, rules)?),
        Source::Netskope(tenant, filters) => {
            AtHand::Netskope { endpoint: tenant.endpoint()?, filters, token: tenant::token()? }
        }
    })
}

/// Reads the findings of the query; `on` is told what is being read.
///
/// # Errors
///
/// A gate lets nothing through, although there are findings.
pub(crate) async fn gather(at_hand: AtHand, query: &Query<'_>, on: impl Fn(&str)) -> Result<Gathered, Error> {
    let mut gathered = match at_hand {
        AtHand::File(gathered) => gathered,
        AtHand::Netskope { endpoint, filters, token } => {
            let poller = Poller { filters, ..poller(endpoint, query, token)? };
            from_netskope(poller, query, on).await?
        }
    };
    // Of a list that could not be read as a whole, nobody can say what is not on it.
    if gathered.problems.is_empty() {
        gathered.check(query)?;
    }
    gathered.keep(query.region, &query.gates);
    if gathered.problems.is_empty() && gathered.is_emptied_by_gates() {
        return Err(Error::NoneMatchesAll);
    }
    Ok(gathered)
}

impl Gathered {
    /// Says which gate lets nothing through, and what there is instead. Where there is no finding at all, none is wrong.
    fn check(&self, query: &Query<'_>) -> Result<(), Error> {
        let findings = || self.batches.iter().flat_map(|batch| &batch.findings);
        let (Query { region, gates, .. }, own) = (query, Region::code(query.region));
        let is_here = |finding: &Finding| finding.region == own || finding.region.is_global();
        let is_elsewhere = findings().next().is_some() || self.skipped.other_regions > 0;
        if gates.span == Span::OneRegion && is_elsewhere && !findings().any(is_here) {
            let regions: BTreeSet<_> = findings().map(|finding| finding.region.to_string()).collect();
            let found = if regions.is_empty() { "other regions".to_owned() } else { some_of(regions) };
            let gate =
                format!("the region {region} (--region, or that of the AWS configuration; --all-regions takes all)");
            return Err(Error::NoneMatches { gate, found });
        }
        if findings().next().is_none() {
            return Ok(());
        }
        if let Some(account) = gates.accounts.iter().find(|account| !findings().any(|of| of.account == **account)) {
            let found = some_of(findings().map(|of| of.account.to_string()).collect());
            return Err(Error::NoneMatches { gate: format!("--account {account}"), found });
        }
        if let Some(resource) = gates.resources.iter().find(|wanted| !findings().any(|of| is_about(of, wanted))) {
            let found = some_of(findings().map(|of| of.resource.clone()).collect());
            return Err(Error::NoneMatches { gate: format!("--resource {resource}"), found });
        }
        Ok(())
    }

    /// Whether there were findings, and no gate alone but all of them together let none through.
    fn is_emptied_by_gates(&self) -> bool {
        self.batches.is_empty() && self.skipped.other_accounts + self.skipped.other_resources > 0
    }

    /// Leaves out what is not in the region that is worked in, where only that one is, and what the other gates do not let
    /// through. Global findings stay: no other region's run would work on them.
    fn keep(&mut self, region: &str, gates: &Gates<'_>) {
        let (own, Gates { span, accounts, resources }) = (Region::code(region), gates);
        for batch in &mut self.batches {
            batch.findings.retain(|finding| {
                let here = *span == Span::AllRegions || finding.region == own || finding.region.is_global();
                let in_account = accounts.is_empty() || accounts.contains(&finding.account);
                let about = resources.is_empty() || resources.iter().any(|wanted| is_about(finding, wanted));
                self.skipped.other_regions += usize::from(!here);
                self.skipped.other_accounts += usize::from(here && !in_account);
                self.skipped.other_resources += usize::from(here && in_account && !about);
                here && in_account && about
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

/// Whether a finding is about the resource of this name or ARN: either may be the end of the other, as of an ARN.
fn is_about(finding: &Finding, wanted: &str) -> bool {
    let ends_in = |arn: &str, name: &str| {
        arn.starts_with("arn:") && arn.strip_suffix(name).is_some_and(|start| start.ends_with(['/', ':']))
    };
    let text = finding.resource.as_str();
    if ends_in(wanted, text) {
        // An ARN without an account, as of a bucket, is of any.
        return wanted
            .split(':')
            .nth(4)
            .is_none_or(|account| account.is_empty() || finding.account.as_ref() == account);
    }
    text == wanted || ends_in(text, wanted)
}

/// A few words of many, in their order.
fn some_of(words: BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let more = words.len().saturating_sub(SHOWN);
    let shown = words.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
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
async fn from_netskope(poller: Poller, query: &Query<'_>, on: impl Fn(&str)) -> Result<Gathered, Error> {
    let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
    let folder = match query.place {
        RecordsPlace::Folder(folder) => folder.clone(),
        RecordsPlace::Bucket(_) => scratch.path().to_owned(),
    };
    let poller = Poller { records: Records::Folder(folder), ..poller };
    let mut gathered = Gathered::default();
    for (number, LoadedRule { manifest, .. }) in (1..).zip(query.rules) {
        on(&format!("{}: reading Netskope's list {number} of {}", manifest.id, query.rules.len()));
        match poll(&poller, &manifest.id).await {
            Ok(Polled { answer, batches }) => {
                if has_none(&answer) {
                    gathered.without_findings.push(manifest.id.clone());
                }
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

/// Whether no row of the list was a finding of whatever region.
fn has_none(answer: &Answer) -> bool {
    let Answer { kept, left, other_regions, unknown_regions, invalid, .. } = answer;
    [*kept, *left, *other_regions, *invalid].iter().all(|count| *count == 0) && unknown_regions.is_empty()
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

fn poller(endpoint: Endpoint, query: &Query<'_>, token: SecretString) -> Result<Poller, Error> {
    let regions = match query.gates.span {
        Span::OneRegion => Regions::only(query.region),
        Span::AllRegions => {
            let mut every: Vec<_> = netskope::Region::codes().collect();
            every.push(query.region);
            let every = every.join(",");
            Regions::new(&every, query.region).map_err(|error| Error::Region(error.to_string()))?
        }
    };
    Ok(Poller {
        manifests: query.rules.iter().map(|rule| rule.manifest.clone()).collect(),
        records: Records::Folder(PathBuf::new()),
        token: TokenSource::given(token),
        endpoint,
        options: Options::default(),
        filters: Filters::default(),
        // Nothing is started by these batches.
        limits: Limits { batches: u32::MAX, ..Limits::default() },
        regions,
        // They are looked at by whoever asked, whatever Lambdas are at work on.
        event_age: None,
        deployment: None,
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

    fn of_accounts(accounts: &[AccountId]) -> Gates<'_> {
        Gates { span: Span::OneRegion, accounts, resources: &[] }
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
        gathered.keep("eu-central-1", &of_accounts(&["111111111111".parse().unwrap()]));
        assert_eq!(gathered.batches[0].findings.len(), 2);
        assert_eq!(gathered.skipped, Skipped { other_regions: 1, other_accounts: 1, ..Skipped::default() });
        gathered.keep("us-west-2", &of_accounts(&["222222222222".parse().unwrap()]));
        assert!(gathered.batches.is_empty());
    }

    /// Two findings, and what a gate says of them; none where it lets one through.
    fn refused(span: Span, region: &str, accounts: &[&str], resources: &[&str]) -> Option<String> {
        let findings = vec![finding("111111111111", "eu-central-1"), finding("222222222222", "us-east-1")];
        let gathered = Gathered { batches: vec![batch("s3-public-bucket", findings)], ..Gathered::default() };
        let accounts: Vec<_> = accounts.iter().map(|account| account.parse().unwrap()).collect();
        let resources: Vec<_> = resources.iter().map(|resource| (*resource).to_owned()).collect();
        let (gates, place) =
            (Gates { span, accounts: &accounts, resources: &resources }, RecordsPlace::Folder("x".into()));
        let query = Query { rules: &[], region, gates, place: &place };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(gather(AtHand::File(gathered), &query, |_| ())).err().map(|error| error.to_string())
    }

    #[test]
    fn a_gate_that_lets_nothing_through_is_an_error_that_names_it() {
        use Span::{AllRegions, OneRegion};
        for (span, region, accounts, resources, named) in [
            (OneRegion, "eu-west-1", &[][..], &[][..], "the region eu-west-1"),
            (OneRegion, "eu-central-1", &["333333333333"], &[], "--account 333333333333"),
            (AllRegions, "eu-west-1", &["111111111111", "333333333333"], &[], "--account 333333333333"),
            (OneRegion, "eu-central-1", &[], &["bukket"], "--resource bukket"),
            (OneRegion, "eu-central-1", &["222222222222"], &["bucket"], "no finding matches all"),
        ] {
            let error = refused(span, region, accounts, resources).unwrap_or_default();
            assert!(error.contains(named), "{named}: {error}");
        }
        for (span, region, accounts, resources) in [
            (AllRegions, "eu-west-1", &[][..], &["bucket"][..]),
            (OneRegion, "eu-central-1", &["111111111111"], &["arn:aws:s3:::bucket"]),
            (OneRegion, "us-east-1", &[], &[]),
        ] {
            assert_eq!(refused(span, region, accounts, resources), None);
        }
    }

    #[test]
    fn a_resource_is_asked_for_by_its_name_or_its_arn() {
        let of = |resource: &str| Finding { resource: resource.into(), ..finding("111111111111", "eu-central-1") };
        for (listed, wanted, is) in [
            ("sg-1", "sg-1", true),
            ("sg-1", "sg-11", false),
            ("sg-1", "arn:aws:ec2:eu-central-1:111111111111:security-group/sg-1", true),
            ("sg-1", "arn:aws:ec2:eu-central-1:222222222222:security-group/sg-1", false),
            ("arn:aws:ec2:eu-central-1:111111111111:security-group/sg-1", "sg-1", true),
            ("data", "arn:aws:s3:::data", true),
            ("data", "arn:aws:s3:::more-data", false),
        ] {
            assert_eq!(is_about(&of(listed), wanted), is, "{listed} {wanted}");
        }
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
        let endpoint = Tenant::Domain("example.goskope.com".into()).endpoint().unwrap();
        let place = RecordsPlace::Folder("folder".into());
        let query = Query { rules: &[], region: "eu-central-1", gates: of_accounts(&[]), place: &place };
        let poller = poller(endpoint, &query, SecretString::from("s3cr3t-token")).unwrap();
        assert!(!format!("{poller:?}").contains("s3cr3t"));
    }
}
