//! Systems Manager of the target accounts: runs the one runbook that there is, which makes a pump private.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::actor::Actor;
use crate::chance::Chance;
use crate::cloud::{Hand, State};
use crate::fault::Fault;
use crate::sts::Session;
use crate::wire::{Answer, Arrived};
use crate::world::{World, lock};

/// The runbook.
pub(crate) const RUNBOOK: &str = "Sim-ClosePump";
/// Its parameter.
pub(crate) const PARAMETER: &str = "Pump";

/// All executions.
#[derive(Debug)]
pub(crate) struct Automation {
    executions: Mutex<Vec<Execution>>,
    chance: Chance,
}

/// An execution.
#[derive(Debug, Clone)]
struct Execution {
    id: String,
    account: String,
    token: String,
    arn: String,
    session: Arc<Session>,
    status: &'static str,
}

impl Automation {
    pub(crate) fn new(seed: u64) -> Self {
        Self { executions: Mutex::default(), chance: Chance::new(seed, "automation") }
    }

    pub(crate) fn answer(&self, actor: &Arc<Actor>, request: &Arrived) -> Answer {
        let world = &actor.world;
        if world.strikes(Fault::Throttled, &self.chance) {
            return error(400, "ThrottlingException");
        }
        if world.strikes(Fault::Failing, &self.chance) {
            return error(500, "InternalServerError");
        }
        let Some(session) = world.sts.session(&request.access_key()) else { return error(403, "AccessDenied") };
        if session.has_ended() {
            return error(400, "ExpiredTokenException");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let target = request.header("x-amz-target").unwrap_or_default();
        match target.rsplit('.').next().unwrap_or_default() {
            "StartAutomationExecution" => self.start(actor, &session, &body),
            "GetAutomationExecution" => self.get(&session, &body),
            _ => self.list(&session),
        }
    }

    fn start(&self, actor: &Arc<Actor>, session: &Arc<Session>, body: &Value) -> Answer {
        let world = &actor.world;
        if session.read_only || session.undo || world.cloud.is_denied(&session.account) {
            return error(403, "AccessDeniedException");
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (token, arn) = (text(&body["ClientToken"]), text(&body["Parameters"][PARAMETER][0]));
        let mut executions = lock(&self.executions);
        if executions.iter().any(|of| of.token == token) {
            return error(400, "IdempotentParameterMismatch");
        }
        crate::invariants::writes(actor, session, &arn);
        let id = format!("execution-{}", executions.len());
        let (account, session) = (session.account.clone(), Arc::clone(session));
        world.tell("automation", format!("{id} begins for {} on {arn}", session.name));
        executions.push(Execution { id: id.clone(), account, token, arn, session, status: "InProgress" });
        let long = world.strikes(Fault::LongRunbook, &self.chance);
        let takes = if long { self.chance.between(300, 2_400) } else { self.chance.between(2, 90) };
        let fails = world.strikes(Fault::FailedRunbook, &self.chance);
        let (world, of) = (Arc::clone(world), id.clone());
        tokio::spawn(async move {
            sleep(Duration::from_secs(takes)).await;
            world.automation.end(&world, &of, fails);
        });
        Answer::new(200, json!({"AutomationExecutionId": id}).to_string())
    }

    fn end(&self, world: &World, id: &str, fails: bool) {
        let status = if fails { "Failed" } else { "Success" };
        let ended = {
            let mut executions = lock(&self.executions);
            let Some(execution) = executions.iter_mut().find(|of| of.id == id) else { return };
            execution.status = status;
            execution.clone()
        };
        world.tell("automation", format!("{id} ends: {status}"));
        if !fails {
            let hand = Hand::Ours(Arc::clone(&ended.session));
            world.cloud.change(world, &ended.arn, &hand, |_| Some(State::Pump(false)));
        }
    }

    fn get(&self, session: &Session, body: &Value) -> Answer {
        let id = body["AutomationExecutionId"].as_str().unwrap_or_default();
        match lock(&self.executions).iter().find(|of| of.id == id && of.account == session.account) {
            Some(execution) => Answer::new(200, json!({"AutomationExecution": execution.json()}).to_string()),
            None => error(400, "AutomationExecutionNotFoundException"),
        }
    }

    fn list(&self, session: &Session) -> Answer {
        let executions = lock(&self.executions);
        let listed = executions.iter().filter(|of| of.account == session.account && of.status == "InProgress");
        let listed: Vec<_> = listed.map(Execution::json).collect();
        Answer::new(200, json!({"AutomationExecutionMetadataList": listed}).to_string())
    }

    /// The sessions by which something is under way on a thing.
    pub(crate) fn under_way(&self, arn: &str) -> BTreeMap<String, String> {
        let executions = lock(&self.executions);
        let under_way = executions.iter().filter(|of| of.arn == arn && of.status == "InProgress");
        under_way.map(|of| (of.session.name.clone(), of.id.clone())).collect()
    }
}

impl Execution {
    fn json(&self) -> Value {
        let mut json = json!({
            "AutomationExecutionId": self.id, "DocumentName": RUNBOOK, "AutomationExecutionStatus": self.status,
            "Parameters": {PARAMETER: [self.arn]}, "StepExecutions": [],
        });
        if self.status == "Failed" {
            json["FailureMessage"] = "the simulation says so".into();
        }
        json
    }
}

fn error(status: u16, code: &str) -> Answer {
    Answer::new(status, json!({"__type": code, "message": "the simulation says so"}).to_string())
}
