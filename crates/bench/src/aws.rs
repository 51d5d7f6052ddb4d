//! A stand-in for AWS: everything that a fix of any rule calls, with a set latency.
//!
//! It is honest in what a benchmark could cheat with. A resource violates until the write has come that mends it, and a
//! look shows what was written, no sooner; a session that may only read is refused every write; each session sees its
//! own account alone; conditional writes to the bucket of records fail where S3's would. What no rule calls is refused,
//! so that a new call shows. Where it is asked to, it throttles as AWS documents it ([`throttle`]).
//!
//! It is generous in what is not ours: nothing is eventually consistent, a runbook has ended when it is asked for, and a
//! flow log delivers at once.

mod acls;
mod automation;
mod bucket;
mod buckets;
mod call;
mod clusters;
mod counts;
mod databases;
mod groups;
mod throttle;
mod trails;
mod users;
mod vpcs;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::rule::Rule;
use crate::server::{Answer, Request, Server};
use automation::Started;
use call::{Call, Caller, Form, Input, Output, Refusal, unknown};
use counts::Counter;

pub(crate) use bucket::NAME as BUCKET;
pub(crate) use counts::Counts;
pub(crate) use throttle::Limit;

/// The region of everything.
pub(crate) const REGION: &str = "us-east-1";
/// The central account.
pub(crate) const CENTRAL: &str = "999999999999";
/// The token for Netskope that Secrets Manager keeps.
pub(crate) const TOKEN: &str = "bench";

/// The stand-in; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Aws {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    latency: Duration,
    throttle: Option<Mutex<throttle::Throttle>>,
    counter: Counter,
    world: Mutex<World>,
}

/// All that there is.
#[derive(Debug, Default)]
pub(crate) struct World {
    records: bucket::Bucket,
    buckets: buckets::Buckets,
    groups: groups::Groups,
    acls: acls::Acls,
    vpcs: vpcs::Vpcs,
    users: users::Users,
    databases: databases::Databases,
    clusters: clusters::Clusters,
    trails: trails::Trails,
    automation: automation::Automation,
}

/// Things of one kind, by account and ID.
#[derive(Debug)]
struct Things<T>(HashMap<String, HashMap<String, T>>);

impl<T> Default for Things<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Things<T> {
    /// Gives the ID back.
    fn insert(&mut self, account: &str, id: String, thing: T) -> String {
        self.0.entry(account.to_owned()).or_default().insert(id.clone(), thing);
        id
    }

    fn get(&self, account: &str, id: &str) -> Option<&T> {
        self.0.get(account)?.get(id)
    }

    fn get_mut(&mut self, account: &str, id: &str) -> Option<&mut T> {
        self.0.get_mut(account)?.get_mut(id)
    }

    fn of(&self, account: &str) -> impl Iterator<Item = (&str, &T)> {
        self.0.get(account).into_iter().flatten().map(|(id, thing)| (id.as_str(), thing))
    }
}

/// An ID as EC2 gives it.
fn ec2_id(kind: &str, n: usize) -> String {
    format!("{kind}-{n:017x}")
}

impl Aws {
    /// Starts the stand-in.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub(crate) async fn start(world: World, latency: Duration, throttles: bool) -> io::Result<Self> {
        let throttle = throttles.then(Mutex::default);
        let inner = Arc::new(Inner { latency, throttle, counter: Counter::default(), world: Mutex::new(world) });
        let answers = Arc::clone(&inner);
        let server = Server::start(move |request| {
            let inner = Arc::clone(&answers);
            async move { inner.answer(request).await }
        });
        Ok(Self { server: server.await?, inner })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.inner.counter.so_far()
    }

    /// How many records have a key that begins with `prefix`.
    pub(crate) fn records(&self, prefix: &str) -> usize {
        self.inner.world().records.count(prefix)
    }
}

impl Inner {
    async fn answer(&self, request: Request) -> Answer {
        let call = match Call::of(request) {
            Ok(call) => call,
            Err(refusal) => return refusal.answer("", false),
        };
        let _under_way = self.counter.begin(&call);
        let passes = match &self.throttle {
            Some(throttle) => lock(throttle).take(&call, Instant::now()),
            None => Ok(()),
        };
        sleep(self.latency).await;
        if let Err(refusal) = passes {
            self.counter.throttled(&call);
            return call.answer(Err(refusal));
        }
        let result = self.world().call(&call);
        call.answer(result)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Makes a resource that violates the rule, and gives what Netskope calls it.
    pub(crate) fn violate(&mut self, rule: Rule, account: &str, n: usize) -> String {
        match rule {
            Rule::CloudTrailUnvalidatedLogs => self.trails.violate(account, n),
            Rule::IamStaleAccessKey => self.users.violate(account, n),
            Rule::NetworkAclOpenIngress => self.acls.violate(account, n),
            Rule::RdsPublicSnapshot => self.databases.violate(account, n),
            Rule::RedshiftPublicCluster => self.clusters.violate(account, n),
            Rule::S3PublicBucket => self.buckets.violate(account, n),
            Rule::SecurityGroupOpenAdminPort => self.groups.violate(account, n),
            Rule::VpcWithoutFlowLogs => self.vpcs.violate(account, n),
        }
    }

    /// Stores a record.
    pub(crate) fn record(&mut self, key: String, bytes: impl Into<Bytes>) {
        self.records.put(key, bytes);
    }

    fn call(&mut self, call: &Call) -> call::Result<Output> {
        let (account, read_only) = match &call.caller {
            Caller::Central => return self.central(call),
            Caller::Session { account, read_only } => (account.as_str(), *read_only),
        };
        if read_only && !call.is_read() {
            return Err(denied(call));
        }
        match (call.service.as_str(), call.operation.as_str()) {
            ("cloudtrail", _) => self.trails.answer(call, account),
            ("ec2", "DescribeNetworkInterfaces") => Ok(Output::Xml("<networkInterfaceSet/>".into())),
            ("ec2", "DescribeNetworkAcls" | "DeleteNetworkAclEntry") => self.acls.answer(call, account),
            ("ec2", "DescribeVpcs" | "DescribeFlowLogs" | "CreateFlowLogs") => self.vpcs.answer(call, account),
            ("ec2", _) => self.groups.answer(call, account),
            ("iam", _) => self.users.answer(call, account),
            ("logs", _) => self.vpcs.answer(call, account),
            ("rds", _) => self.databases.answer(call, account),
            ("redshift", _) => self.clusters.answer(call, account),
            ("s3", _) => self.buckets.answer(call, account),
            ("ssm", "StartAutomationExecution") => {
                let (started, output) = self.automation.start(call, account)?;
                match started {
                    Started::EnableLogFileValidation { trail } => self.trails.validate(account, &trail),
                    Started::DisablePublicAccess { cluster } => self.clusters.make_private(account, &cluster),
                }
                Ok(output)
            }
            ("ssm", _) => self.automation.answer(call, account),
            _ => Err(unknown(&call.api())),
        }
    }

    /// What the Lambda's own role calls.
    fn central(&mut self, call: &Call) -> call::Result<Output> {
        match (call.service.as_str(), call.operation.as_str()) {
            ("s3", _) => self.records.answer(call),
            ("sts", "AssumeRole") => assume(call.form()?),
            ("secretsmanager", "GetSecretValue") => {
                Ok(Output::Json(json!({"ARN": call.json("SecretId")?, "Name": "token", "SecretString": TOKEN})))
            }
            _ => Err(denied(call)),
        }
    }
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn assume(form: &Form) -> call::Result<Output> {
    let role = form.required("RoleArn")?;
    let account = role.split(':').nth(4).filter(|account| account.len() == 12);
    let account = account.ok_or_else(|| Refusal::new(400, "ValidationError", "the role's ARN has no account"))?;
    let seconds = form.text("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3_600);
    let (key, end) = (Caller::access_key(account, form.text("Policy").is_some()), SignedDuration::from_secs(seconds));
    Ok(Output::Xml(format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{:.0}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA:bench</AssumedRoleId><Arn>{role}</Arn></AssumedRoleUser>",
        Timestamp::now() + end
    )))
}

fn denied(call: &Call) -> Refusal {
    let message = format!("not authorized to perform: {}", call.api());
    match (&call.input, call.service.as_str()) {
        (_, "ec2") => Refusal::new(403, "UnauthorizedOperation", message),
        (Input::Json(_), _) => Refusal::new(400, "AccessDeniedException", message),
        _ => Refusal::new(403, "AccessDenied", message),
    }
}

#[cfg(test)]
pub(crate) mod tests;
