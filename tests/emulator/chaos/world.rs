//! The target accounts: what is in them, and what people do there by hand.

use jiff::Timestamp;
use remediation::Report;
use serde_json::Value;
use testkit::Result;
use testkit::account::{Account, REGION};
use testkit::subjects::security_group_open_admin_port::SecurityGroups;
use testkit::subjects::{self, AnySubject};
use testkit::violations::Violation;

use super::Story;

/// A resource that violated when it was made.
pub(super) struct Thing {
    pub(super) violation: Violation,
    /// As it was made.
    pub(super) first: Value,
    /// When people have opened it, or may have.
    pub(super) opened: Vec<Timestamp>,
    /// Whether people have changed it otherwise than by an undo.
    pub(super) is_touched: bool,
    pub(super) is_deleted: bool,
}

impl Thing {
    async fn of(violation: Violation) -> Result<Self> {
        let first = violation.describe().await?;
        Ok(Self { violation, first, opened: Vec::new(), is_touched: false, is_deleted: false })
    }

    pub(super) fn name(&self) -> String {
        format!("{} of {}", self.violation.resource, self.violation.account())
    }
}

/// A resource that does not comply.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) control: String,
    pub(super) account: String,
    pub(super) resource: String,
}

pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    pub(super) things: Vec<Thing>,
    made: usize,
}

impl World {
    pub(super) async fn make(accounts: &[Account]) -> Result<Self> {
        let mut things = Vec::new();
        for account in accounts {
            for violation in Violation::make_all(account, &[REGION.to_owned()]).await? {
                things.push(Thing::of(violation).await?);
            }
        }
        Ok(Self { accounts: accounts.into(), things, made: 0 })
    }

    /// What Netskope lists: everything, also what complies by now or is gone.
    pub(super) fn rows(&self) -> Result<Vec<Value>> {
        self.things.iter().map(|thing| thing.violation.row()).collect()
    }

    /// The one that a row of a report is about.
    pub(super) fn find(&self, control: &str, account: &str, resource: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| {
            let Violation { control: of, resource: name, .. } = &thing.violation;
            of.rule_names[0] == control && thing.violation.account() == account && name == resource
        })
    }

    /// People take back what this report says, or try to.
    pub(super) fn is_handled(&mut self, report: &Report) {
        for thing in &mut self.things {
            let is_its = |resource: &String| *resource == thing.violation.resource;
            if report.findings.iter().any(|row| is_its(&row.finding.resource)) {
                thing.opened.push(Timestamp::now());
            }
        }
    }

    pub(super) async fn reopen(&mut self, chance: &mut fastrand::Rng, story: &mut Story) {
        let known = ["s3-public-bucket", "security-group-open-admin-port"];
        let can = |thing: &&mut Thing| !thing.is_deleted && known.contains(&&*thing.violation.rule);
        let Some(thing) = chance.choice(self.things.iter_mut().filter(can).collect::<Vec<_>>()) else { return };
        thing.is_touched = true;
        // Before it is done: nothing says that it was not, where the answer is lost.
        thing.opened.push(Timestamp::now());
        let (owner, resource) = (thing.violation.owner(), &thing.violation.resource);
        let done = match &*thing.violation.rule {
            "s3-public-bucket" => owner.set_public_access_block(resource, None).await,
            _ => SecurityGroups::of(owner).allow(resource, "tcp 22-22 0.0.0.0/0 by hand", &[]).await,
        };
        story.tell(format!("by hand: opens {}: {}", thing.name(), said(&done)));
    }

    pub(super) async fn delete(&mut self, chance: &mut fastrand::Rng, story: &mut Story) {
        let can = |thing: &&mut Thing| !thing.is_deleted && thing.violation.rule == "s3-public-bucket";
        let Some(thing) = chance.choice(self.things.iter_mut().filter(can).collect::<Vec<_>>()) else { return };
        (thing.is_touched, thing.is_deleted) = (true, true);
        thing.opened.push(Timestamp::now());
        let deleted = thing.violation.owner().s3.delete_bucket().bucket(&thing.violation.resource).send().await;
        let done = deleted.map(drop).map_err(Into::into);
        story.tell(format!("by hand: deletes {}: {}", thing.name(), said(&done)));
    }

    /// One more resource, of any rule.
    pub(super) async fn violate(&mut self, chance: &mut fastrand::Rng, story: &mut Story) {
        let every: Vec<&'static AnySubject> = subjects::all().collect();
        let (Some(subject), Some(account)) = (chance.choice(every), chance.choice(&self.accounts)) else { return };
        self.made += 1;
        let name = format!("{}-{}", subject.name, self.made);
        let made = match Violation::make(subject, account, &name).await {
            Ok(violation) => Thing::of(violation).await,
            Err(error) => Err(error),
        };
        story.tell(format!("by hand: makes {name} in {}: {}", account.id, said(&made)));
        self.things.extend(made);
    }

    /// What does not comply.
    pub(super) async fn open(&self) -> Result<Vec<Open>> {
        let mut open = Vec::new();
        for thing in self.things.iter().filter(|thing| !thing.is_deleted) {
            if !thing.violation.complies().await? {
                let Violation { control, resource, .. } = &thing.violation;
                let account = thing.violation.account().to_owned();
                open.push(Open { control: control.rule_names[0].clone(), account, resource: resource.clone() });
            }
        }
        Ok(open)
    }
}

fn said<T>(done: &Result<T>) -> String {
    done.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned())
}
