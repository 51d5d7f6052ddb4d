//! Netskope: whether the token is taken, and by which names the tenant knows the controls.

use std::env;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use netskope::{Client, Options};
use remediation::{Control, Manifest};

use crate::doctor::DoctorArgs;
use crate::doctor::check::{Area, Check};
use crate::error::Error;
use crate::source;

/// How long a page is waited for.
const PAGE_TIME: Duration = Duration::from_secs(120);
const REACH: &str = "see the tenant's name, and whether this machine reaches it";
const SET_TOKEN: &str = "set NETSKOPE_TOKEN to the tenant's REST API v1 token (Settings > Tools > Rest API), and in the \
                         deployment TF_VAR_netskope_token and netskope_token_version";

/// The checks of the token and of every control.
pub(super) async fn check(args: &DoctorArgs, manifests: &[&Manifest]) -> Vec<Check> {
    let token = Check::of(Area::Netskope, "token");
    if args.netskope_tenant.is_none() && args.netskope_endpoint.is_none() {
        return vec![token.skipped("no tenant was given: --netskope-tenant")];
    }
    let client = match client(args) {
        Ok(client) => client,
        Err(error @ Error::NoToken) => return vec![token.failed("there is none", error.to_string())],
        Err(error) => return vec![token.failed(error.to_string(), "give the tenant's domain name: --netskope-tenant")],
    };
    let mut checks = Vec::new();
    for manifest in manifests {
        for control in &manifest.controls {
            let check = Check::of(Area::Netskope, "control").for_rule(&manifest.id);
            match spelling(&client, control).await {
                Ok(name) => checks.push(told(check, control, name)),
                Err(error) if error.is_refused() => return vec![token.failed(error.to_string(), SET_TOKEN)],
                Err(error) if error.is_unreachable() => return vec![token.failed(error.to_string(), REACH)],
                Err(error) => checks.push(check.failed(format!("{}: {error}", control.short_name), REACH)),
            }
        }
    }
    // A tenant that never answered has not taken the token.
    let is_taken = checks.iter().any(|check| check.fix.is_none());
    let token = if is_taken { token } else { token.skipped("the tenant did not answer") };
    checks.insert(0, token);
    checks
}

fn client(args: &DoctorArgs) -> Result<Client, Error> {
    let endpoint = source::endpoint(args.netskope_tenant.as_deref(), args.netskope_endpoint.as_deref())?;
    let token = source::token(env::var("NETSKOPE_TOKEN").ok())?;
    // One row is enough to know.
    let options = Options { page_size: 1, timeout: Duration::from_secs(30), retries: 2, ..Options::default() };
    Ok(Client::new(endpoint, token, options)?)
}

/// The spelling of the control's name that the tenant has violations of, asked for in the poller's order.
async fn spelling<'a>(client: &Client, control: &'a Control) -> Result<Option<&'a str>, netskope::Error> {
    let now = Timestamp::now().as_second();
    for name in &control.rule_names {
        let page = client.violations(name, now, Instant::now() + PAGE_TIME).next().await?;
        if page.is_some_and(|page| page.received > page.skipped.foreign()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn told(check: Check, control: &Control, name: Option<&str>) -> Check {
    match name {
        Some(name) => check.ok(format!("{}: the tenant calls it \"{name}\"", control.short_name)),
        None => check.ok(format!(
            "{}: no violation now, by none of its {} name(s); so nothing tells whether the tenant knows it",
            control.short_name,
            control.rule_names.len()
        )),
    }
}
