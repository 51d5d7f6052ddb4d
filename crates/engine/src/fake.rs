//! A cloud in memory for tests: houses with doors, a rule that closes them, and the STS that hands out its sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{Credentials, ProvideCredentials, Region as SdkRegion, SharedCredentialsProvider};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use remediation::records::{card_key, read};
use remediation::{
    Access, AccountId, Arn, Batch, BatchId, Card, Error, ErrorKind, Finding, Guard, Manifest, Plan, Policy,
    PolicyRecord, Proposal, Records, Region, Resource, Result, Rule, RunId, Seen, Sessions, Side, Sighting, Tags,
    Target, TargetRole, UNDO_ROLE_SUFFIX, call,
};

use crate::{Bounds, Clock, Engine};

pub(crate) const CONTROL: &str = "Ensure every door is closed.";
/// The control that is about the first door alone.
pub(crate) const FRONT: &str = "Ensure the front door is closed.";
/// What no record, error or log may hold.
pub(crate) const SECRET: &str = "a-sessions-secret";

/// The clouds of this process, by the name of the role through which a rule's client comes.
static CLOUDS: LazyLock<Mutex<BTreeMap<String, Arc<Cloud>>>> = LazyLock::new(Mutex::default);

/// The rule.
#[derive(Debug)]
pub(crate) struct OpenDoor;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) days: u32,
    #[serde(default)]
    pub(crate) guard: Guard,
}

impl Default for Settings {
    fn default() -> Self {
        Self { days: 90, guard: Guard::Warn }
    }
}

/// What distinguishes the controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Doorway {
    #[serde(default)]
    front: bool,
}

/// Closes one door, or opens it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) door: usize,
    pub(crate) before: bool,
    pub(crate) after: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "door {} open {} → {}", self.door, self.before, self.after)
    }
}

/// Which house.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct House {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) name: String,
}

impl From<&Finding> for House {
    fn from(finding: &Finding) -> Self {
        let Finding { account, region, resource, .. } = finding.clone();
        let name = resource.rsplit('/').next().unwrap_or_default().to_owned();
        Self { account, region, name }
    }
}

impl From<&Resource> for House {
    fn from(resource: &Resource) -> Self {
        let arn = Arn::parse(&resource.arn).unwrap();
        let name = arn.resource.rsplit('/').next().unwrap().to_owned();
        Self { account: resource.owner.clone(), region: resource.region.clone(), name }
    }
}

/// How the calls for a house go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// As they should.
    Works,
    /// This many looks after a write still show what was before.
    Stale(u32),
    /// A write succeeds and changes nothing.
    Deaf,
    /// Every look fails.
    LookFails(ErrorKind),
    /// Every look after a write fails.
    LaterLookFails(ErrorKind),
    /// Every write fails.
    WriteFails(ErrorKind),
    /// Every write after the first fails.
    LaterWriteFails(ErrorKind),
    /// Somebody else makes each change right before it is written.
    Forestalled,
    /// Every write fails, and changes the house all the same.
    WriteFailsLate(ErrorKind),
    /// Once it is written to, what it was called leads to another house.
    LosesItsNames,
    /// The last door may stay open, because the settings say so.
    HoldsLast,
    /// The last door cannot be closed now.
    JamsLast,
    /// Nothing ever shows that closed doors are locked.
    NeverProved,
    /// A guard sees somebody in the house.
    Guarded,
    /// A guard cannot look.
    Dark(ErrorKind),
}

/// What a look sees.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) open: Vec<bool>,
    script: Script,
    people: BTreeSet<String>,
}

#[derive(Debug)]
struct State {
    open: Vec<bool>,
    script: Script,
    shown: Vec<bool>,
    stale: u32,
    writes: usize,
    tags: Tags,
    names: BTreeSet<String>,
    owner: Option<AccountId>,
    people: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Look,
    Tags,
    Write,
}

/// How long a call takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// This many times, everything else has its turn before: no real waiting, and the same on every machine.
    Turns(u32),
    /// Real time.
    Time(Duration),
}

impl Wait {
    async fn out(self) {
        match self {
            Self::Turns(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            Self::Time(time) => tokio::time::sleep(time).await,
        }
    }
}

/// All houses of all accounts, and every call that came.
#[derive(Debug)]
pub(crate) struct Cloud {
    folder: PathBuf,
    houses: Mutex<BTreeMap<House, State>>,
    calls: Mutex<Vec<(Call, House)>>,
    waits: Mutex<BTreeMap<(AccountId, Call), Wait>>,
    in_flight: Mutex<BTreeMap<AccountId, usize>>,
    most: AtomicUsize,
    most_in_account: AtomicUsize,
    ended: Mutex<Vec<AccountId>>,
    written: Mutex<Vec<(House, Change)>>,
    /// The changes of the stored plans, by their files, which never change.
    planned: Mutex<BTreeMap<PathBuf, Vec<(String, Change)>>>,
    /// What houses are called elsewhere.
    aliases: Mutex<BTreeMap<House, House>>,
    /// The houses that are written to.
    writing: Mutex<BTreeSet<House>>,
    /// What goes on in houses after whoever began it has left.
    under_way: Mutex<BTreeMap<House, String>>,
    /// Whether a write must be claimed and planned.
    pub(crate) strict: AtomicBool,
}

impl Cloud {
    fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            houses: Mutex::default(),
            calls: Mutex::default(),
            waits: Mutex::default(),
            in_flight: Mutex::default(),
            most: AtomicUsize::default(),
            most_in_account: AtomicUsize::default(),
            ended: Mutex::default(),
            written: Mutex::default(),
            planned: Mutex::default(),
            aliases: Mutex::default(),
            writing: Mutex::default(),
            under_way: Mutex::default(),
            strict: AtomicBool::new(true),
        }
    }

    /// Adds a call to the log, and waits as long as such a call takes in that account.
    async fn call(&self, call: Call, house: &House) {
        self.calls.lock().unwrap().push((call, house.clone()));
        let wait = self.waits.lock().unwrap().get(&(house.account.clone(), call)).copied().unwrap_or(Wait::Turns(1));
        {
            let _in_flight = InFlight::new(self, &house.account);
            wait.out().await;
        }
        self.ended.lock().unwrap().push(house.account.clone());
    }

    fn look(&self, house: &House) -> Result<Vec<bool>> {
        let mut houses = self.houses.lock().unwrap();
        let state = houses.get_mut(house).ok_or_else(|| failure("test:GetDoors", ErrorKind::Gone))?;
        match state.script {
            Script::LookFails(kind) => return Err(failure("test:GetDoors", kind)),
            Script::LaterLookFails(kind) if state.writes > 0 => return Err(failure("test:GetDoors", kind)),
            _ => {}
        }
        if state.stale > 0 {
            state.stale -= 1;
            return Ok(state.shown.clone());
        }
        Ok(state.open.clone())
    }

    fn write(&self, resource: &Resource, change: &Change) -> Result<()> {
        let house = House::from(resource);
        if self.strict.load(Ordering::Relaxed) {
            assert!(self.is_planned(resource, change), "{change} is written, but no stored plan says so");
            assert!(self.is_claimed(resource), "{change} is written, but nobody has claimed {}", resource.arn);
        }
        let mut houses = self.houses.lock().unwrap();
        let state = houses.get_mut(&house).ok_or_else(|| failure("test:CloseDoor", ErrorKind::Gone))?;
        state.writes += 1;
        let failed = match state.script {
            Script::LosesItsNames => {
                let lost = |to: &&mut House| **to == house;
                let another = houses.keys().find(|of| **of != house).unwrap();
                self.aliases.lock().unwrap().values_mut().filter(lost).for_each(|to| *to = another.clone());
                Ok(())
            }
            Script::Deaf => return Ok(()),
            Script::Forestalled => {
                state.open[change.door] = change.after;
                return Err(Error::unneeded("test:GetDoors"));
            }
            Script::WriteFails(kind) => return Err(failure("test:CloseDoor", kind)),
            Script::LaterWriteFails(kind) if state.writes > 1 => return Err(failure("test:CloseDoor", kind)),
            Script::WriteFailsLate(kind) => Err(failure("test:CloseDoor", kind)),
            Script::Stale(looks) => {
                state.shown = state.open.clone();
                state.stale = looks;
                Ok(())
            }
            _ => Ok(()),
        };
        houses.get_mut(&house).unwrap().open[change.door] = change.after;
        self.written.lock().unwrap().push((house, change.clone()));
        failed
    }

    /// The changes that were written, in their order.
    pub(crate) fn written(&self) -> Vec<(House, Change)> {
        self.written.lock().unwrap().clone()
    }

    /// The house that a name stands for.
    fn house(&self, finding: &Finding) -> House {
        let named = House::from(finding);
        self.aliases.lock().unwrap().get(&named).cloned().unwrap_or(named)
    }

    fn is_claimed(&self, resource: &Resource) -> bool {
        let card = std::fs::read(self.folder.join(card_key("open-door", resource)));
        card.is_ok_and(|card| Card::from_json(&card, "open-door", resource).unwrap().claim.is_some())
    }

    fn is_planned(&self, resource: &Resource, change: &Change) -> bool {
        let mut planned = self.planned.lock().unwrap();
        // What is still being written has another name.
        let stored = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "json");
        for file in files(&self.folder.join("plans")).into_iter().filter(stored) {
            planned.entry(file).or_insert_with_key(|file| {
                let Ok(plan) = read::<Plan<Change>>(&std::fs::read(file).unwrap()) else { return Vec::new() };
                let changes = plan.resources.into_iter().flat_map(|planned| {
                    let arn = planned.resource.arn;
                    planned.changes.into_iter().map(move |planned| (arn.clone(), planned.change))
                });
                changes.collect()
            });
        }
        planned.values().flatten().any(|(arn, planned)| *arn == resource.arn && planned == change)
    }
}

/// A house that is written to: by one writer at a time.
struct Writing<'a>(&'a Cloud, House);

impl<'a> Writing<'a> {
    fn new(cloud: &'a Cloud, house: House) -> Self {
        assert!(cloud.writing.lock().unwrap().insert(house.clone()), "two writers at once: {house:?}");
        Self(cloud, house)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writing.lock().unwrap().remove(&self.1);
    }
}

/// A call that is under way; also one that is broken off ends.
struct InFlight<'a>(&'a Cloud, &'a AccountId);

impl<'a> InFlight<'a> {
    fn new(cloud: &'a Cloud, account: &'a AccountId) -> Self {
        let mut in_flight = cloud.in_flight.lock().unwrap();
        *in_flight.entry(account.clone()).or_default() += 1;
        cloud.most_in_account.fetch_max(in_flight[account], Ordering::Relaxed);
        cloud.most.fetch_max(in_flight.values().sum(), Ordering::Relaxed);
        Self(cloud, account)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        *self.0.in_flight.lock().unwrap().get_mut(self.1).unwrap() -= 1;
    }
}

pub(crate) fn failure(action: &str, kind: ErrorKind) -> Error {
    Error::new(action, kind, format!("scripted {kind:?}"))
}

/// The plans below a folder, in the order of their names.
pub(crate) fn plans(folder: &Path) -> Vec<Plan<Change>> {
    let files = files(&folder.join("plans"));
    files.iter().map(|file| read(&std::fs::read(file).unwrap()).unwrap()).collect()
}

/// Every file below a folder, in the order of their names.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A session with the cloud.
#[derive(Debug)]
pub(crate) struct Client {
    cloud: Arc<Cloud>,
    credentials: SharedCredentialsProvider,
}

impl Client {
    /// The session was made for this account and this kind of call.
    async fn assert_session(&self, kind: &str, account: &AccountId) {
        let credentials = self.credentials.provide_credentials().await.unwrap();
        let kinds = [format!("{kind}-{account}"), format!("{kind}-{account}-undo")];
        assert!(kinds.iter().any(|of| credentials.access_key_id() == of), "{kinds:?}");
    }
}

impl Rule for OpenDoor {
    const MANIFEST: &'static str = r#"{
        "id": "open-door", "title": "Door that is open", "service": "test", "scope": "regional",
        "controls": [
            {"rule_names": ["Ensure every door is closed."], "short_name": "T-1", "parameters": {}},
            {"rule_names": ["Ensure the front door is closed."], "short_name": "T-2", "parameters": {"front": true}}
        ],
        "read": [
            {"action": "test:GetDoors", "resource": "arn:{partition}:test:{region}:{account}:house/{prefix}-x"},
            {"action": "test:ListHouses", "resource": "*"}
        ],
        "write": [{"action": "test:CloseDoor", "resource": "*"}],
        "undo": [{"action": "test:OpenDoor", "resource": "*"}],
        "extra": [{"action": "iam:PassRole", "resource": "arn:{partition}:iam::{account}:role/x"}],
        "runbook": null,
        "docs": {"why": "w", "impact": "i", "undo": "u", "by_hand": "h"}
    }"#;
    type Settings = Settings;
    type Control = Doorway;
    type Client = Client;
    type State = Doors;
    type Change = Change;

    fn client(target: &Target) -> Client {
        let role = target.role_arn.rsplit('/').next().unwrap();
        let cloud = Arc::clone(&CLOUDS.lock().unwrap()[role]);
        Client { cloud, credentials: target.config.credentials_provider().unwrap() }
    }

    async fn look(client: &Client, finding: &Finding) -> Result<Seen<Doors>> {
        client.assert_session("READ", &finding.account).await;
        let house = client.cloud.house(finding);
        let looked = || async {
            client.cloud.call(Call::Look, &house).await;
            Ok::<_, SdkError<GetObjectError, HttpResponse>>(())
        };
        call("test:GetDoors", looked).await?;
        let open = client.cloud.look(&house)?;
        let houses = client.cloud.houses.lock().unwrap();
        let state = &houses[&house];
        let House { account, region, name } = house.clone();
        let owner = state.owner.clone().unwrap_or(account);
        let arn = format!("arn:aws:test:{region}:{owner}:house/{name}");
        let resource = Resource::of_arn("test:GetDoors", arn, name)?.called(state.names.clone());
        Ok(Seen::now(resource, Doors { open, script: state.script, people: state.people.clone() }))
    }

    fn plan(seen: &Seen<Doors>, controls: &[&Doorway], _: &Settings) -> Proposal<Change> {
        let Doors { open: doors, script, .. } = &seen.state;
        let all = controls.iter().any(|control| !control.front);
        let open = doors.iter().enumerate().filter(|(door, open)| **open && (all || *door == 0));
        let change = |(door, _)| Change { door, before: true, after: false };
        let mut proposal = Proposal::from(open.map(change).collect::<Vec<_>>());
        if *script == Script::HoldsLast && doors.last() == Some(&true) {
            proposal.changes.pop();
            proposal.held.push(format!("door {} may stay open", doors.len() - 1));
        }
        if *script == Script::JamsLast && doors.last() == Some(&true) {
            proposal.changes.pop();
            proposal.not_now.push(format!("door {} is jammed", doors.len() - 1));
        }
        if *script == Script::NeverProved {
            proposal.unproved.push("nobody has tried the doors".into());
        }
        if doors.len() > 1 {
            proposal.notes.push(format!("the house has {} doors", doors.len()));
        }
        proposal
    }

    fn guard(settings: &Settings) -> Guard {
        settings.guard
    }

    async fn impact(_: &Client, seen: &Seen<Doors>, _: &[Change], _: &Settings) -> Result<Vec<Sighting>> {
        match seen.state.script {
            Script::Guarded => Ok(vec![Sighting::new("somebody is in the house").with("since a moment ago")]),
            Script::Dark(kind) => Err(failure("test:ListPeople", kind)),
            _ => Ok(seen.state.people.iter().map(|name| Sighting::new(format!("{name} is in the house"))).collect()),
        }
    }

    async fn tags(client: &Client, seen: &Seen<Doors>) -> Result<Tags> {
        let house = House::from(&seen.resource);
        client.assert_session("READ", &house.account).await;
        client.cloud.call(Call::Tags, &house).await;
        let houses = client.cloud.houses.lock().unwrap();
        let state = houses.get(&house).ok_or_else(|| failure("test:ListTags", ErrorKind::Gone))?;
        Ok(state.tags.clone())
    }

    async fn under_way(client: &Client, resource: &Resource) -> Result<Option<String>> {
        let house = House::from(resource);
        client.assert_session("READ", &house.account).await;
        Ok(client.cloud.under_way.lock().unwrap().get(&house).cloned())
    }

    async fn apply(client: &Client, resource: &Resource, change: &Change) -> Result<()> {
        let house = House::from(resource);
        client.assert_session("WRITE", &house.account).await;
        let _writing = Writing::new(&client.cloud, house.clone());
        let written = || async {
            client.cloud.call(Call::Write, &house).await;
            Ok::<_, SdkError<GetObjectError, HttpResponse>>(())
        };
        call("test:CloseDoor", written).await?;
        client.cloud.write(resource, change)
    }

    fn undo(change: &Change) -> Change {
        Change { before: change.after, after: change.before, ..change.clone() }
    }

    fn side(change: &Change, state: &Doors) -> Side {
        state.open.get(change.door).map_or(Side::Neither, |open| Side::of(open, &change.before, &change.after))
    }
}

/// What was sent to STS.
#[derive(Debug, Clone)]
pub(crate) struct AssumeRole {
    pub(crate) host: String,
    pub(crate) form: BTreeMap<String, String>,
}

/// STS: gives a read session for a request with a session policy, and a write session for one without.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sts {
    requests: Arc<Mutex<Vec<AssumeRole>>>,
    refused: Arc<Mutex<BTreeSet<AccountId>>>,
    garbled: Arc<Mutex<BTreeSet<AccountId>>>,
    switched_off: Arc<Mutex<BTreeSet<AccountId>>>,
    /// The source identity that the caller has.
    identity: Arc<Mutex<Option<&'static str>>>,
    /// The accounts whose role lets nobody set one.
    unnamed: Arc<Mutex<BTreeSet<AccountId>>>,
    /// So many answers are lost.
    lost: Arc<AtomicUsize>,
    /// How long a session takes, where that matters.
    wait: Arc<Mutex<Option<Wait>>>,
    /// The number of a session is in its access key where it counts them.
    lasting: Arc<Mutex<Option<Duration>>>,
    ended: Arc<Mutex<BTreeMap<String, &'static str>>>,
}

impl Sts {
    pub(crate) fn config(&self, region: &str) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(SdkRegion::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build()
    }

    pub(crate) fn requests(&self) -> Vec<AssumeRole> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn refuse(&self, account: &str) {
        self.refused.lock().unwrap().insert(account.parse().unwrap());
    }

    /// Gives the caller a source identity of its own.
    pub(crate) fn name_caller(&self, identity: &'static str) {
        *self.identity.lock().unwrap() = Some(identity);
    }

    /// Lets nobody set a source identity in an account.
    pub(crate) fn let_nobody_name(&self, account: &str) {
        self.unnamed.lock().unwrap().insert(account.parse().unwrap());
    }

    /// Switches the region off for an account.
    pub(crate) fn switch_off(&self, account: &str) {
        self.switched_off.lock().unwrap().insert(account.parse().unwrap());
    }

    /// Makes the answers for an account ones that cannot be read.
    pub(crate) fn garble(&self, account: &str) {
        self.garbled.lock().unwrap().insert(account.parse().unwrap());
    }

    /// Makes every session take as long as `wait`.
    pub(crate) fn slow(&self, wait: Wait) {
        *self.wait.lock().unwrap() = Some(wait);
    }

    /// Loses so many answers.
    pub(crate) fn lose(&self, answers: usize) {
        self.lost.store(answers, Ordering::Relaxed);
    }

    /// Gives sessions that last so long from now on, with their number at the end of the access key.
    pub(crate) fn give(&self, lasting: Duration) {
        *self.lasting.lock().unwrap() = Some(lasting);
    }

    /// Ends the session of an access key: AWS answers its calls with `code`.
    pub(crate) fn end(&self, access_key: &str, code: &'static str) {
        self.ended.lock().unwrap().insert(access_key.to_owned(), code);
    }

    /// The answer of S3 to a list of buckets.
    fn list_buckets(&self, request: &HttpRequest) -> (u16, String) {
        let signed = request.headers().get("authorization").unwrap();
        let access_key = signed.split_once("Credential=").unwrap().1.split('/').next().unwrap();
        match self.ended.lock().unwrap().get(access_key) {
            Some(code) => (400, format!("<Error><Code>{code}</Code><Message>told so</Message></Error>")),
            None => (200, "<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>".into()),
        }
    }

    fn answer(&self, request: &AssumeRole) -> (u16, String) {
        let account = request.form["RoleArn"].split(':').nth(4).unwrap().to_owned();
        if self.refused.lock().unwrap().contains(&account.parse().unwrap()) {
            let error = "<Type>Sender</Type><Code>AccessDenied</Code><Message>not for you</Message>";
            return (403, format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"));
        }
        let (own, asked) = (*self.identity.lock().unwrap(), request.form.get("SourceIdentity"));
        let said = match (own, asked) {
            (Some(own), Some(asked)) if own != asked => Some("a session's source identity cannot be changed"),
            (None, Some(_)) if self.unnamed.lock().unwrap().contains(&account.parse().unwrap()) => {
                Some("User: u is not authorized to perform: sts:SetSourceIdentity on resource: r")
            }
            _ => None,
        };
        if let Some(said) = said {
            let error = format!("<Type>Sender</Type><Code>AccessDenied</Code><Message>{said}</Message>");
            return (403, format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"));
        }
        if self.switched_off.lock().unwrap().contains(&account.parse().unwrap()) {
            let error = "<Type>Sender</Type><Code>RegionDisabledException</Code><Message>not here</Message>";
            return (403, format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"));
        }
        let kind = if request.form.contains_key("Policy") { "READ" } else { "WRITE" };
        let role = if request.form["RoleArn"].ends_with(UNDO_ROLE_SUFFIX) { UNDO_ROLE_SUFFIX } else { "" };
        let (number, end) = match *self.lasting.lock().unwrap() {
            None => (String::new(), "2999-01-01T00:00:00Z".to_owned()),
            Some(lasting) => {
                let end = Timestamp::now() + SignedDuration::try_from(lasting).unwrap();
                (format!("-{}", self.requests.lock().unwrap().len()), end.to_string())
            }
        };
        let credentials = format!(
            "<AccessKeyId>{kind}-{account}{role}{number}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>{SECRET}</SessionToken><Expiration>{end}</Expiration>"
        );
        let identity = own.map(|own| format!("<SourceIdentity>{own}</SourceIdentity>")).unwrap_or_default();
        let result = format!("<AssumeRoleResult><Credentials>{credentials}</Credentials>{identity}</AssumeRoleResult>");
        let mut answer = format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>");
        if self.garbled.lock().unwrap().contains(&account.parse().unwrap()) {
            answer = answer.replace("2999", "soon");
        }
        (200, answer)
    }
}

impl HttpConnector for Sts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let host = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
        if !host.starts_with("sts.") {
            let (status, body) = self.list_buckets(&request);
            return HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))));
        }
        let form = url::form_urlencoded::parse(request.body().bytes().unwrap()).into_owned().collect();
        let request = AssumeRole { host, form };
        let (status, body) = self.answer(&request);
        self.requests.lock().unwrap().push(request);
        // Long enough for others to come and want the same session.
        let wait = self.wait.lock().unwrap().unwrap_or(Wait::Turns(20));
        let lose = |left: usize| left.checked_sub(1);
        if self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lose).is_ok() {
            return HttpConnectorFuture::new(async move {
                wait.out().await;
                Err(ConnectorError::other("nobody answers".into(), None))
            });
        }
        HttpConnectorFuture::new(async move {
            wait.out().await;
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
        })
    }
}

/// A cloud, an STS and a folder for records.
pub(crate) struct World {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) sts: Sts,
    pub(crate) folder: TempDir,
    pub(crate) run: RunId,
    pub(crate) policy: Policy,
    pub(crate) policy_record: Option<PolicyRecord>,
    pub(crate) guard: Guard,
    /// How long accounts wait for each other: for all, unless a test is about waves.
    pub(crate) gather: Duration,
    /// So many seconds are past that no clock has counted.
    pub(crate) passed: Arc<AtomicI64>,
    role: String,
    findings: Vec<Finding>,
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let role = format!("role-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = TempDir::new().unwrap();
        let cloud = Arc::new(Cloud::new(folder.path()));
        CLOUDS.lock().unwrap().insert(role.clone(), Arc::clone(&cloud));
        let policy = Policy::unrestricted();
        let (run, findings) = (RunId::start(), Vec::new());
        let sts = Sts::default();
        let (policy_record, passed, gather) = (None, Arc::default(), Duration::from_secs(3600));
        Self { cloud, sts, folder, run, policy, policy_record, guard: Guard::Hold, gather, passed, role, findings }
    }

    /// Adds a house and the finding for it.
    pub(crate) fn house(&mut self, account: &str, region: &str, open: &[bool], script: Script) -> House {
        let finding = finding(account, region, &format!("h{}", self.findings.len()));
        let house = House::from(&finding);
        self.findings.push(finding);
        let (shown, tags, names, people) = (Vec::new(), BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let open = open.to_vec();
        let state = State { open, script, shown, stale: 0, writes: 0, tags, names, owner: None, people };
        self.cloud.houses.lock().unwrap().insert(house.clone(), state);
        house
    }

    /// Adds `count` houses with one open door each.
    pub(crate) fn open_houses(&mut self, account: &str, region: &str, count: usize) {
        for _ in 0..count {
            self.house(account, region, &[true], Script::Works);
        }
    }

    /// Opens a door, as somebody else would.
    pub(crate) fn open_door(&self, house: &House, door: usize) {
        self.set_door(house, door, true);
    }

    /// Opens or closes a door, as somebody else would.
    pub(crate) fn set_door(&self, house: &House, door: usize, open: bool) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().open[door] = open;
    }

    /// Lets the next look find a house as it was before.
    pub(crate) fn show_once(&self, house: &House, open: &[bool]) {
        let mut houses = self.cloud.houses.lock().unwrap();
        let state = houses.get_mut(house).unwrap();
        (state.shown, state.stale) = (open.to_vec(), 1);
    }

    /// Closes every door of a house, as somebody else would.
    pub(crate) fn close_doors(&self, house: &House) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().open.fill(false);
    }

    /// Gives a house a tag.
    pub(crate) fn tag(&self, house: &House, key: &str, value: &str) {
        let mut houses = self.cloud.houses.lock().unwrap();
        houses.get_mut(house).unwrap().tags.insert(key.into(), value.into());
    }

    /// Calls a house something else as well.
    pub(crate) fn call_it(&self, house: &House, name: &str) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().names.insert(name.into());
    }

    /// Gives a house, which the account goes on to see, to another account.
    pub(crate) fn give(&self, house: &House, owner: &str) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().owner = Some(owner.parse().unwrap());
    }

    /// Gives a house other doors.
    pub(crate) fn rebuild(&self, house: &House, open: &[bool]) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().open = open.to_vec();
    }

    /// Lists these findings and no others.
    pub(crate) fn list(&mut self, findings: Vec<Finding>) {
        self.findings = findings;
    }

    /// Makes the finding of this place one of the front door alone.
    pub(crate) fn only_front(&mut self, place: usize) {
        self.findings[place].control = FRONT.into();
    }

    /// Lists a house by another name, or in another region, for a control.
    pub(crate) fn list_as(&mut self, house: &House, control: &str, region: &str, name: &str) {
        let listed = Finding { control: control.into(), ..finding(house.account.as_ref(), region, name) };
        self.cloud.aliases.lock().unwrap().insert(House::from(&listed), house.clone());
        self.findings.push(listed);
    }

    /// Somebody comes into a house.
    pub(crate) fn enter(&self, house: &House, name: &str) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().people.insert(name.into());
    }

    /// The card of a house; none where there is none.
    pub(crate) fn card(&self, house: &House) -> Option<Card> {
        let House { account, region, name } = house;
        let arn = format!("arn:aws:test:{region}:{account}:house/{name}");
        let resource = Resource::of_arn("test:GetDoors", arn, name.clone()).unwrap();
        let card = std::fs::read(self.folder.path().join(card_key("open-door", &resource))).ok()?;
        Some(Card::from_json(&card, "open-door", &resource).unwrap())
    }

    /// Something goes on in a house, whoever has begun it.
    pub(crate) fn begin(&self, house: &House, what: &str) {
        self.cloud.under_way.lock().unwrap().insert(house.clone(), what.into());
    }

    /// Nothing goes on in a house any more.
    pub(crate) fn end(&self, house: &House) {
        self.cloud.under_way.lock().unwrap().remove(house);
    }

    /// So much time passes, for claims and exemptions.
    pub(crate) fn pass(&self, seconds: i64) {
        self.passed.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Takes a house away; its finding stays.
    pub(crate) fn tear_down(&self, house: &House) {
        self.cloud.houses.lock().unwrap().remove(house);
    }

    /// Changes a house's script.
    pub(crate) fn script(&self, house: &House, script: Script) {
        self.cloud.houses.lock().unwrap().get_mut(house).unwrap().script = script;
    }

    /// Makes every such call in an account take as long as `wait`.
    pub(crate) fn slow(&self, account: &str, call: Call, wait: Wait) {
        self.cloud.waits.lock().unwrap().insert((account.parse().unwrap(), call), wait);
    }

    /// The findings of all houses, as one batch.
    pub(crate) fn batch(&self) -> Batch {
        let id = BatchId { rule: "open-door".into(), run: self.run, batch: 1 };
        Batch::new(id, self.findings.clone())
    }

    pub(crate) fn engine(&self) -> Engine<OpenDoor> {
        self.engine_with(Bounds::default(), self.records())
    }

    pub(crate) fn engine_with(&self, bounds: Bounds, records: Records) -> Engine<OpenDoor> {
        let bounds = Bounds { gather: self.gather, ..bounds };
        let settings = Settings { guard: self.guard, ..Settings::default() };
        let engine = Engine::new(manifest(), settings, self.sessions("us-east-1"), records, bounds).unwrap();
        let passed = Arc::clone(&self.passed);
        let now = move || Timestamp::now() + SignedDuration::from_secs(passed.load(Ordering::Relaxed));
        engine.under(self.policy.clone(), self.policy_record.clone()).with_clock(Clock::new(now))
    }

    pub(crate) fn records(&self) -> Records {
        Records::Folder(self.folder.path().to_owned())
    }

    pub(crate) fn sessions(&self, region: &str) -> Sessions {
        Sessions::new(self.sts.config(region), self.access())
    }

    pub(crate) fn access(&self) -> Access {
        let role = TargetRole { name: self.role.clone(), external_id: Some("shared-with-the-role".into()) };
        manifest().access(role, self.run)
    }

    pub(crate) fn doors(&self) -> BTreeMap<House, Vec<bool>> {
        let houses = self.cloud.houses.lock().unwrap();
        houses.iter().map(|(house, state)| (house.clone(), state.open.clone())).collect()
    }

    pub(crate) fn all_closed(&self) -> bool {
        self.doors().values().flatten().all(|open| !open)
    }

    /// The calls for a house, in their order.
    pub(crate) fn calls(&self, house: &House) -> Vec<Call> {
        let calls = self.cloud.calls.lock().unwrap();
        calls.iter().filter(|(_, of)| of == house).map(|(call, _)| *call).collect()
    }

    /// The calls for the house of a finding, by its place in the batch.
    pub(crate) fn calls_of(&self, place: usize) -> Vec<Call> {
        self.calls(&House::from(&self.findings[place]))
    }

    /// How many such calls came in all.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.cloud.calls.lock().unwrap().iter().filter(|(of, _)| *of == call).count()
    }

    /// The most calls that were under way at once: in all, and in one account.
    pub(crate) fn most_in_flight(&self) -> (usize, usize) {
        (self.cloud.most.load(Ordering::Relaxed), self.cloud.most_in_account.load(Ordering::Relaxed))
    }

    /// The accounts of the calls that ended, in the order in which they did.
    pub(crate) fn ended(&self) -> Vec<AccountId> {
        self.cloud.ended.lock().unwrap().clone()
    }

    /// Waits until this many such calls came.
    pub(crate) async fn until(&self, call: Call, count: usize) {
        while self.count(call) < count {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest::from_json(OpenDoor::MANIFEST).unwrap()
}

pub(crate) fn finding(account: &str, region: &str, resource: &str) -> Finding {
    Finding {
        control: CONTROL.into(),
        account: account.parse().unwrap(),
        region: Region::code(region),
        resource: resource.into(),
        first_seen: None,
        last_scanned: None,
    }
}
