//! Netskope: whether it accepts the token, and the names by which the tenant knows the controls.

use std::time::Duration;

use netskope::{Client, Options};
use remediation::{Control, Manifest};

use crate::commands::doctor::check::{Area, Check};
use crate::error::Error;
use crate::print::text::counted;
use crate::session::tenant::{self, Tenant};

/// The longest wait for a page.
const PAGE_TIME: Duration = Duration::from_secs(120);
const REACH: &str = "check the tenant's name, and that this machine can reach it";
const SET_TOKEN: &str = "set NETSKOPE_TOKEN to the tenant's REST API v1 token (Settings > Tools > Rest API); in the \
                         deployment, set TF_VAR_netskope_token and raise netskope_token_version";

/// The checks of the token and of every control.
pub(super) async fn check(tenant: Option<&Tenant>, manifests: &[&Manifest]) -> Vec<Check> {
    let token = Check::of(Area::Netskope, "token");
    let Some(tenant) = tenant else { return vec![token.skipped("no tenant given: --netskope-tenant")] };
    let client = match client(tenant) {
        Ok(client) => client,
        Err(error @ Error::NoToken) => return vec![token.failed("no token is set", error.to_string())],
        Err(error) => return vec![token.failed(error.to_string(), "give the tenant's domain name: --netskope-tenant")],
    };
    let mut checks = Vec::new();
    for manifest in manifests {
        for control in &manifest.controls {
            let check = Check::of(Area::Netskope, "control").for_rule(&manifest.id);
            match spelling(&client, control).await {
                Ok(name) => checks.push(known_as(check, control, name)),
                Err(error) if error.is_refused() => return vec![token.failed(error.to_string(), SET_TOKEN)],
                Err(error) if error.is_unreachable() => return vec![token.failed(error.to_string(), REACH)],
                Err(error) => checks.push(check.failed(format!("{}: {error}", control.short_name), REACH)),
            }
        }
    }
    // A tenant that never answered has not accepted the token.
    let is_accepted = checks.iter().any(|check| check.fix.is_none());
    let token = if is_accepted { token } else { token.skipped("the tenant did not answer") };
    checks.insert(0, token);
    checks
}

fn client(tenant: &Tenant) -> Result<Client, Error> {
    let (endpoint, token) = (tenant.endpoint()?, tenant::token()?);
    // One row is enough.
    let options = Options { page_size: 1, timeout: Duration::from_secs(30), retries: 2, ..Options::default() };
    Ok(Client::new(endpoint, token, options)?)
}

/// The spelling of the control's name under which the tenant lists violations, tried in the poller's order.
async fn spelling<'a>(client: &Client, control: &'a Control) -> Result<Option<&'a str>, netskope::Error> {
    let now = ambient::now().as_second();
    for name in &control.rule_names {
        let page = client.violations(name, now, tokio::time::Instant::now() + PAGE_TIME).next().await?;
        if page.is_some_and(|page| page.received > page.skipped.foreign()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn known_as(check: Check, control: &Control, name: Option<&str>) -> Check {
    match name {
        Some(name) => check.ok(format!("{}: the tenant calls it \"{name}\"", control.short_name)),
        None => check.ok(format!(
            "{}: no violation now under {}, so whether the tenant knows the control is unknown",
            control.short_name,
            counted(control.rule_names.len(), "name")
        )),
    }
}
