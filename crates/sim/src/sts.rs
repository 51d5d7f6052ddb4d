//! STS: gives sessions in target accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use remediation::UNDO_ROLE_SUFFIX;
use tokio::time::Instant;

use crate::actor::Actor;
use crate::fault::Fault;
use crate::wire::{Answer, Arrived};
use crate::world::lock;

/// What no record, log or story may hold.
pub(crate) const SECRET: &str = "a-sessions-secret";

/// STS.
#[derive(Debug, Default)]
pub(crate) struct Sts {
    sessions: Mutex<BTreeMap<String, Arc<Session>>>,
    refused: Mutex<BTreeSet<String>>,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    /// The account.
    pub(crate) account: String,
    /// Whether its role is the one that undoes.
    pub(crate) undo: bool,
    /// Whether it can only read.
    pub(crate) read_only: bool,
    /// The name that whoever asked gave it; a run has one for all of its sessions.
    pub(crate) name: String,
    /// When it ends, whatever it says.
    ends: Instant,
}

impl Session {
    /// Whether its time is up.
    pub(crate) fn has_ended(&self) -> bool {
        Instant::now() >= self.ends
    }
}

impl Sts {
    pub(crate) fn answer(&self, actor: &Arc<Actor>, request: &Arrived) -> Answer {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let world = &actor.world;
        if world.strikes(Fault::Throttled, &actor.chance) {
            return error(400, "Throttling");
        }
        if world.strikes(Fault::Failing, &actor.chance) {
            return error(500, "InternalFailure");
        }
        let role = &form["RoleArn"];
        let account = role.split(':').nth(4).unwrap_or_default().to_owned();
        if lock(&self.refused).contains(&account) {
            return error(403, "AccessDenied");
        }
        let asked = form.get("DurationSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(3_600);
        let early = world.strikes(Fault::SessionEnds, &actor.chance);
        let lasts = if early { actor.chance.between(1, asked) } else { asked };
        let session = Session {
            undo: role.ends_with(UNDO_ROLE_SUFFIX),
            read_only: form.contains_key("Policy"),
            name: form["RoleSessionName"].clone(),
            ends: Instant::now() + Duration::from_secs(lasts),
            account,
        };
        let mut sessions = lock(&self.sessions);
        let key = format!("ASIA{:04}", sessions.len());
        sessions.insert(key.clone(), Arc::new(session));
        let end: Timestamp = world.now() + SignedDuration::from_secs(asked.cast_signed());
        let credentials = format!(
            "<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>{SECRET}</SessionToken><Expiration>{end}</Expiration>"
        );
        let result = format!("<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>");
        Answer::new(200, format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>"))
    }

    /// The session of an access key.
    pub(crate) fn session(&self, key: &str) -> Option<Arc<Session>> {
        lock(&self.sessions).get(key).map(Arc::clone)
    }

    /// Lets nobody into an account, or everybody again.
    pub(crate) fn refuse(&self, account: &str, refused: bool) {
        let mut accounts = lock(&self.refused);
        if refused {
            accounts.insert(account.to_owned())
        } else {
            accounts.remove(account)
        };
    }
}

fn error(status: u16, code: &str) -> Answer {
    let error = format!("<Type>Sender</Type><Code>{code}</Code><Message>the simulation says so</Message>");
    Answer::new(status, format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"))
}
