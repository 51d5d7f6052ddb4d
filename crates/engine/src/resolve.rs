//! The first station: which resource each finding leads to, and how it stands. Findings of the same resource become one
//! piece of work, whatever each of them calls it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use remediation::aws::counted;
use remediation::policy::{About as Covers, Exemption, Names};
use remediation::{
    AccountId, Error, ErrorKind, Finding, Mode, Outcome, Place, Policy, Proposal, Region, Regions, ReportedFinding,
    Resource, Result, Rule, Scope, Seen, SessionKind,
};
use tokio::sync::OnceCell;

use crate::workers::{About, Placed};
use crate::{Deadline, Engine, Job};

/// The permission that is refused for an account out of scope.
const ASSUME_ROLE: &str = "sts:AssumeRole";

/// The client of an account, a region and a kind of session, made once.
pub(crate) type ClientSlot<C> = Arc<OnceCell<Arc<C>>>;
/// Whose client it is.
pub(crate) type ClientKey = (AccountId, Region, SessionKind);

/// A resource with the findings that lead to it.
pub(crate) struct Work<R: Rule> {
    /// At least one; the first leads the way.
    pub(crate) findings: Vec<Placed>,
    pub(crate) looked: Looked<R>,
}

/// A fresh look.
pub(crate) struct Looked<R: Rule> {
    pub(crate) client: Arc<R::Client>,
    pub(crate) seen: Seen<R::State>,
    /// When it began: what has changed since need not be in it.
    pub(crate) began: Timestamp,
    /// The actions that it called.
    pub(crate) calls: Vec<String>,
}

/// The row of a finding, with its place in the batch.
pub(crate) struct Row {
    pub(crate) place: usize,
    pub(crate) row: ReportedFinding,
}

/// An outcome, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) detail: Option<String>,
}

/// What a batch has of one account.
#[derive(Default)]
pub(crate) struct InAccount {
    /// What is looked at, in the batch's order.
    pub(crate) named: Vec<Named>,
    /// What Netskope passes.
    pub(crate) passed: Vec<Finding>,
}

/// Findings that name a resource in the same words.
pub(crate) struct Named {
    findings: Vec<Placed>,
}

impl<R: Rule> About for Work<R> {
    fn finding(&self) -> &Finding {
        &self.findings[0].finding
    }
}

impl About for Named {
    fn finding(&self) -> &Finding {
        &self.findings[0].finding
    }
}

impl<R: Rule> Work<R> {
    pub(crate) fn resource(&self) -> &Resource {
        &self.looked.seen.resource
    }

    /// The account that the findings name; it owns the resource.
    pub(crate) fn account(&self) -> &AccountId {
        &self.finding().account
    }
}

impl Verdict {
    pub(crate) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: Some(detail.into()) }
    }

    /// The rows of findings of which no resource is known.
    fn rows(&self, findings: Vec<Placed>) -> Vec<Row> {
        let row = |Placed { place, finding }| {
            let row = ReportedFinding::unwritten(finding, self.outcome, self.detail.clone());
            Row { place, row }
        };
        findings.into_iter().map(row).collect()
    }
}

impl<R: Rule> Engine<R> {
    /// Divides a batch by its accounts; and gives the rows of what can be said without a call.
    pub(crate) fn by_account(
        &self,
        findings: Vec<Placed>,
        passed: Vec<Finding>,
        job: &Job<R::Change>,
    ) -> (Vec<InAccount>, Vec<Row>) {
        let (named, rows) = self.by_name(findings, job);
        let mut accounts: BTreeMap<AccountId, InAccount> = BTreeMap::new();
        for named in named {
            accounts.entry(named.finding().account.clone()).or_default().named.push(named);
        }
        for finding in passed {
            accounts.entry(finding.account.clone()).or_default().passed.push(finding);
        }
        (accounts.into_values().collect(), rows)
    }

    /// Looks at every resource once, and groups the findings by what they lead to.
    pub(crate) async fn resolve(&self, named: Vec<Named>, job: &Job<R::Change>) -> (Vec<Work<R>>, Vec<Row>) {
        let step = |named: Named| async move {
            let looked = self.look_in_time(&named, job.deadline).await;
            self.notify(|progress| progress.planned());
            (named, looked)
        };
        let mut rows = Vec::new();
        let mut works: Vec<Work<R>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (named, looked) in self.for_each_bounded(named, step).await {
            match looked {
                Err(verdict) => rows.extend(verdict.rows(named.findings)),
                Ok(looked) => match known.get(&looked.seen.resource.arn) {
                    Some(place) => works[*place].findings.extend(named.findings),
                    None => {
                        known.insert(looked.seen.resource.arn.clone(), works.len());
                        works.push(Work { findings: named.findings, looked });
                    }
                },
            }
        }
        for work in &mut works {
            work.findings.sort_by_key(|placed| placed.place);
        }
        (works, rows)
    }

    /// Groups the findings by the words in which they name a resource. What can be said without a call is said.
    fn by_name(&self, findings: Vec<Placed>, job: &Job<R::Change>) -> (Vec<Named>, Vec<Row>) {
        let mut rows = Vec::new();
        let mut named: BTreeMap<(AccountId, String, String), Vec<Placed>> = BTreeMap::new();
        for placed in findings {
            match self.without_a_call(&placed.finding, job) {
                Err(verdict) => rows.extend(verdict.rows(vec![placed])),
                Ok(located) => {
                    let name = (located.account.clone(), located.region.to_string(), located.resource.clone());
                    named.entry(name).or_default().push(placed);
                }
            }
        }
        let mut named: Vec<_> = named.into_values().map(|findings| Named { findings }).collect();
        named.sort_by_key(|named| named.findings[0].place);
        (named, rows)
    }

    /// The finding with its resource's region; or what is reported of it without a look.
    pub(crate) fn without_a_call<'a>(
        &self,
        finding: &'a Finding,
        job: &Job<R::Change>,
    ) -> Result<Cow<'a, Finding>, Verdict> {
        if let Some(why) = self.why_paused(&self.policy, finding, None) {
            return Err(Verdict::new(Outcome::Held, why));
        }
        if job.mode_for(self, &finding.account) == Mode::Off {
            let why = job.unsure(self, &finding.account).unwrap_or_else(|| "the rule's mode is off".to_owned());
            return Err(Verdict::new(Outcome::Held, why));
        }
        self.in_scope(&self.policy, &finding.account).map_err(|error| Verdict::new(Outcome::Held, error.message))?;
        if !self.controls.contains_key(&finding.control) {
            let message = format!("`{}` is not a control of {}", finding.control, self.manifest.id);
            let error = Error::invalid_finding("control", message);
            return Err(Verdict::new(Outcome::Failed, error.to_string()));
        }
        if let Some(exemption) = self.exempt_by_finding(finding) {
            return Err(Verdict::new(Outcome::Exempt, exemption));
        }
        finding.located(self.manifest.scope).map_err(|error| Verdict::new(error.kind.outcome(), error.to_string()))
    }

    /// Why nothing is written to a finding's resource, where somebody has paused that. What a look has not shown yet is
    /// where the finding says.
    pub(crate) fn why_paused(&self, policy: &Policy, finding: &Finding, at: Option<&Resource>) -> Option<String> {
        let (account, region, is_in) = (&finding.account, &finding.region, at.map(|resource| &resource.region));
        policy.why_paused(&Place { rule: &self.manifest.id, account, region, is_in }, ambient::now())
    }

    /// Why the finding is exempt by what it says itself, where that is so: then the account is not even called.
    fn exempt_by_finding(&self, finding: &Finding) -> Option<String> {
        let now = ambient::now();
        let names = Names::of_finding(finding, &self.manifest, self.sessions.region());
        let exempts = |exemption: &&Exemption| {
            exemption.is_about(&self.manifest.id, finding, &names) == Covers::Yes && !exemption.is_expired(now)
        };
        self.policy.exemptions().iter().find(exempts).map(ToString::to_string)
    }

    async fn look_in_time(&self, named: &Named, deadline: Deadline) -> Result<Looked<R>, Verdict> {
        if let Some(why) = self.why_stop(deadline, "no time was left to plan it; the next poll will") {
            return Err(Verdict::new(Outcome::Deferred, why));
        }
        let looked = Box::pin(self.look_in(SessionKind::Read, named.finding())).await;
        looked.map_err(|error| self.failed(named.finding(), &error, named.findings.len()))
    }

    /// A fresh look through a session of this kind, at what this deployment may change.
    pub(crate) async fn look_in(&self, kind: SessionKind, finding: &Finding) -> Result<Looked<R>> {
        let (finding, client) = self.client_to_look(kind, finding).await?;
        let began = ambient::now();
        let (seen, calls) = counted(Box::pin(R::look(&client, &finding))).await;
        let seen = seen.map_err(|error| self.in_session(&finding, error))?;
        self.is_ours(&finding, &seen.resource)?;
        Ok(Looked { client, seen, began, calls })
    }

    async fn client_to_look<'a>(
        &self,
        kind: SessionKind,
        finding: &'a Finding,
    ) -> Result<(Cow<'a, Finding>, Arc<R::Client>)> {
        self.in_scope(&self.policy, &finding.account)?;
        let finding = finding.located(self.manifest.scope)?;
        self.in_our_regions(&finding)?;
        let client = self.client(&finding, kind).await?;
        Ok((finding, client))
    }

    /// Begins the session in which an account is looked at; whoever looks is told of what fails.
    pub(crate) async fn begin_session(&self, of: &InAccount, job: &Job<R::Change>) {
        if let Some(named) = of.named.first().filter(|_| self.why_stop(job.deadline, "").is_none()) {
            drop(self.client_to_look(SessionKind::Read, named.finding()).await);
        }
    }

    /// Another look at a resource to which a finding led. A name may lead elsewhere by now: what is found there says nothing
    /// of the resource.
    pub(crate) async fn look_again(&self, kind: SessionKind, finding: &Finding, at: &Resource) -> Result<Looked<R>> {
        let looked = Box::pin(self.look_in(kind, finding)).await?;
        let found = &looked.seen.resource.arn;
        if *found == at.arn {
            return Ok(looked);
        }
        Err(Error::not_now("look", format!("the finding leads to {found} by now, and this is about {}", at.arn)))
    }

    /// Whether the policy's scope may include the account. Where an organization is all that it names and
    /// the policy does not know it, only IAM does.
    pub(crate) fn in_scope(&self, policy: &Policy, account: &AccountId) -> Result<()> {
        match policy.why_not_in_scope(account) {
            Some(why) => Err(Error::out_of_reach("finding's account", format!("out of scope: {why}"))),
            None => Ok(()),
        }
    }

    /// Whether this deployment looks after the region in which the finding says that its resource is. Where the name
    /// alone leads to a resource, the look tells its region.
    fn in_our_regions(&self, finding: &Finding) -> Result<()> {
        let region = match self.manifest.scope {
            Scope::Regional => Some(finding.region.as_ref()),
            Scope::Global => self.regions.as_ref().map(Regions::home),
            Scope::Located => None,
        };
        self.is_our_region(region, None)
    }

    /// Whether this deployment looks after a region, where it is one and the deployment has regions of its own. `arn` is
    /// what is known to be there.
    fn is_our_region(&self, region: Option<&str>, arn: Option<&str>) -> Result<()> {
        match (&self.regions, region) {
            (Some(regions), Some(region)) if regions.find(region).is_none() => {
                let what = arn.map(|arn| format!(" ({arn})")).unwrap_or_default();
                let message =
                    format!("it is in {region}, so the deployment that looks after that region fixes it{what}");
                Err(Error::out_of_reach("finding's region", message))
            }
            _ => Ok(()),
        }
    }

    /// Whether the finding's account owns the resource, and this deployment is the one that looks after its region.
    fn is_ours(&self, finding: &Finding, resource: &Resource) -> Result<()> {
        let Resource { arn, owner, region, .. } = resource;
        if *owner != finding.account {
            let message = format!(
                "it belongs to the account {owner}, which shares it with {}: it can be changed there only ({arn})",
                finding.account
            );
            return Err(Error::out_of_reach("finding's account", message));
        }
        let region = if region.is_global() { self.regions.as_ref().map(Regions::home) } else { Some(region.as_ref()) };
        self.is_our_region(region, Some(arn))
    }

    /// What is reported of findings for which a call failed before anything was written.
    pub(crate) fn failed(&self, finding: &Finding, error: &Error, findings: usize) -> Verdict {
        let outcome = error.kind.outcome();
        if error.is_of_account() {
            self.problems.count(&finding.account, error, findings);
            if let Some(asked) = self.policy.scope_of_iam().filter(|_| is_refused_role(error)) {
                let message = format!(
                    "out of scope, or without our role: the policy's scope is {asked}, and AWS does not let the account's \
                     role be assumed ({error}). If the account belongs to it, `autoremediate doctor` tells what its role \
                     lacks"
                );
                return Verdict::new(Outcome::Held, message);
            }
        } else if outcome == Outcome::Failed {
            tracing::warn!(%error, "planning failed");
        }
        Verdict::new(outcome, error.to_string())
    }

    /// An error of a call with a session for the finding's account and region.
    pub(crate) fn in_session(&self, finding: &Finding, error: Error) -> Error {
        let region = finding.region.to_string();
        let region = if finding.region.is_global() { self.sessions.region() } else { &region };
        error.in_session(&finding.account, region)
    }

    pub(crate) async fn client(&self, finding: &Finding, kind: SessionKind) -> Result<Arc<R::Client>> {
        let slot = {
            let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(clients.entry((finding.account.clone(), finding.region.clone(), kind)).or_default())
        };
        let make = || async {
            let target = self.sessions.target(&finding.account, &finding.region, kind).await?;
            Ok(Arc::new(R::client(&target)))
        };
        Ok(Arc::clone(slot.get_or_try_init(make).await?))
    }

    /// What the rule makes of a look, for all the controls by which the resource is listed.
    pub(crate) fn plan(&self, findings: &[Placed], seen: &Seen<R::State>) -> Proposal<R::Change> {
        let mut names: Vec<_> = findings.iter().map(|placed| placed.finding.control.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let controls: Vec<_> = names.into_iter().filter_map(|name| self.controls.get(name)).collect();
        R::plan(seen, &controls, &self.settings)
    }
}

/// Whether the role of an account could not be assumed because somebody does not allow it.
fn is_refused_role(error: &Error) -> bool {
    error.action == ASSUME_ROLE && error.kind == ErrorKind::AccessDenied
}
