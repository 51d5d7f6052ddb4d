//! The two rules of the simulation. Like the product's own: a set of entries with two controls, and a value that a slow
//! runbook changes.

mod gate;
mod pump;

use std::sync::Arc;

use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use remediation::{Error, ErrorKind, Finding, Resource, Result, Target, call};

use crate::actor::Actor;
use crate::cloud::{Given, Request, State, send};
use crate::sts::Session;

pub(crate) use gate::OpenGate;
pub(crate) use pump::PublicPump;

/// How a gate refuses what would open what somebody has closed since.
pub(crate) const REFUSED: &str = "it has changed since the fix";

/// The codes by which a target account says that a thing is no more.
const GONE: &[&str] = &["Gone"];

/// A session in a target account.
pub(crate) struct Client {
    credentials: SharedCredentialsProvider,
}

impl Client {
    fn new(target: &Target) -> Self {
        Self { credentials: target.config.credentials_provider().expect("a session") }
    }

    /// Calls an action with the session as it is now.
    async fn call(&self, action: &str, request: Request) -> Result<Given> {
        let actor = Actor::current();
        call(action, || async {
            let session = self.session(&actor).await;
            match session {
                Ok(session) => send(&actor, &session, &request).await,
                Err(error) => Err(aws_sdk_s3::error::SdkError::construction_failure(error)),
            }
        })
        .await
    }

    pub(crate) async fn session(
        &self,
        actor: &Actor,
    ) -> std::result::Result<Arc<Session>, Box<dyn std::error::Error + Send + Sync>> {
        let credentials = self.credentials.provide_credentials().await?;
        Ok(actor.world.sts.session(credentials.access_key_id()).expect("a session that was given"))
    }

    /// What a finding's thing is, and how it stands.
    async fn look(&self, action: &'static str, kind: &'static str, named: &str) -> Result<(Resource, State)> {
        let given = self.call(action, Request::Get { kind, named: named.to_owned() }).await;
        let given = given.map_err(|error| match error.code.as_deref() {
            Some("NoSuchName") => Error::invalid_finding("resource", format!("nothing is called {named}")),
            _ => error.gone_if(GONE),
        })?;
        let Given::Thing { arn, state, name } = given else { return Err(Error::unusable(action, "no thing")) };
        let actor = Actor::current();
        let session = self.session(&actor).await.map_err(|error| Error::unusable(action, &error.to_string()))?;
        crate::invariants::looked(&actor, &session, &arn, state.as_ref());
        let Some(state) = state else {
            return Err(Error::new(action, ErrorKind::Gone, format!("{arn} does not exist any more")));
        };
        let id = arn.rsplit('/').next().unwrap_or_default().to_owned();
        Ok((Resource::of_arn(action, arn, id)?.called([name]), state))
    }
}

/// What of a finding a look goes by.
fn named(finding: &Finding) -> &str {
    &finding.resource
}
