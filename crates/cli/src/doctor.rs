//! `doctor`: whether everything is there that the rules need. It looks, and changes nothing.
//!
//! Each module answers for one area and never fails as a whole: what cannot be told is a failed check with its fix, so
//! that one account that is out of reach keeps nobody from the rest.

mod account;
mod args;
mod bucket;
mod caller;
mod check;
mod tenant;

use std::io::Write;

use futures::StreamExt;
use futures::stream;
use remediation::Progress;

pub(crate) use args::DoctorArgs;

use crate::aws;
use crate::doctor::account::Visit;
use crate::doctor::check::{Area, Check, Checks};
use crate::error::Error;
use crate::output::Exit;
use crate::progress::Bar;
use crate::rules;

/// How many accounts are looked at at once.
const AT_ONCE: usize = 8;

/// Looks, and says what is missing and how to get it.
pub(crate) async fn doctor(args: &DoctorArgs, bar: &Bar, out: &mut impl Write) -> Result<Exit, Error> {
    let rules = rules::select(&args.rules)?;
    let manifests: Vec<_> = rules.iter().map(|rule| &rule.manifest).collect();
    let accounts = args.every_account()?;
    let config = aws::load(&args.access, args.region.as_ref()).await;
    let region = aws::region(&config)?;

    bar.planning(accounts.len());
    let (mut checks, is_known) = caller::check(&config, &args.access).await;
    checks.extend(tenant::check(args, &manifests).await);
    if is_known {
        checks.extend(bucket::check(args.records.as_deref(), &rules, &config).await);
        let visit = Visit::new(args, &manifests, config, region);
        let visits = stream::iter(&accounts).map(|account| Box::pin(visit.check(account))).buffered(AT_ONCE);
        let visited: Vec<_> = visits.inspect(|_| bar.done()).collect().await;
        checks.extend(visited.into_iter().flatten());
    }
    if accounts.is_empty() {
        checks.push(Check::of(Area::Account, "accounts").skipped("none was given: --account or --accounts-file"));
    }
    bar.clear();
    Checks(checks).print(args.json, out)
}
