//! One violating resource for each control that Netskope lists, and a look at it afterwards that uses no rule's code.

use remediation::{Control, Manifest, Region, Scope};
use serde_json::{Map, Value, json};

use crate::Result;
use crate::account::Account;
use crate::netskope::{display_name, row};
use crate::subjects::{self, AnySubject};

/// A resource that fails a control.
#[derive(Debug)]
pub struct Violation {
    /// The ID of the rule that serves the control.
    pub rule: String,
    /// The control.
    pub control: Control,
    /// Where the finding is: in a region, or global.
    pub region: Region,
    /// The resource, as Netskope names it.
    pub resource: String,
    subject: &'static AnySubject,
    account: Account,
}

/// The policy under which each of them is fixed without a person: the guards that hold by default warn.
///
/// # Errors
///
/// A manifest cannot be read.
pub fn policy() -> Result<Value> {
    let mut rules = Map::new();
    for subject in subjects::all() {
        let settings = (subject.settings)();
        if settings != json!({}) {
            rules.insert(Manifest::from_json(subject.manifest)?.id, json!({"settings": settings}));
        }
    }
    Ok(json!({"mode": "apply", "rules": rules}))
}

impl Violation {
    /// Makes one violation of each control of every rule: in each region of the account, or once where it is global.
    ///
    /// # Errors
    ///
    /// The emulator refuses.
    pub async fn make_all(account: &Account, regions: &[String]) -> Result<Vec<Self>> {
        let mut made = Vec::new();
        for subject in subjects::all() {
            let is_global = Manifest::from_json(subject.manifest)?.scope == Scope::Global;
            for code in if is_global { &regions[..1] } else { regions } {
                made.push(Self::make(subject, &account.in_region(code), subject.name).await?);
            }
        }
        Ok(made)
    }

    /// Makes one violation of a control, in the region of `account`.
    ///
    /// # Errors
    ///
    /// The emulator refuses, or there is one of this name.
    pub async fn make(subject: &'static AnySubject, account: &Account, name: &str) -> Result<Self> {
        let Manifest { id: rule, controls, scope, .. } = Manifest::from_json(subject.manifest)?;
        let resource = (subject.violating)(account, name).await?;
        let region = if scope == Scope::Global { Region::global() } else { Region::code(&account.region) };
        let (control, account) = (controls[subject.control].clone(), account.clone());
        let of = Self { rule, control, region, resource, subject, account };
        // So that the look at the end is one that can fail.
        if of.complies().await? {
            return Err(format!("{of:?} complies as it is made").into());
        }
        Ok(of)
    }

    /// The ID of the account that has the resource.
    pub fn account(&self) -> &str {
        &self.account.id
    }

    /// The account that has the resource, in its region, with full rights.
    pub fn owner(&self) -> &Account {
        &self.account
    }

    /// The row that Netskope has for it.
    ///
    /// # Errors
    ///
    /// A region of which Netskope's name is not known here.
    pub fn row(&self) -> Result<Value> {
        let region = display_name(self.region.as_ref())?;
        Ok(row(&self.control.rule_names[0], self.account(), region, &self.resource))
    }

    /// What is wrong with the resource as it was made, in a few words.
    pub fn found(&self) -> &'static str {
        self.subject.found
    }

    /// Everything about the resource that its rule may change or must leave alone, as it is now.
    ///
    /// # Errors
    ///
    /// The resource cannot be looked at.
    pub async fn describe(&self) -> Result<Value> {
        (self.subject.describe)(&self.account, &self.resource).await
    }

    /// Whether the resource complies now: a look with the account's own full rights.
    ///
    /// # Errors
    ///
    /// The resource cannot be looked at.
    pub async fn complies(&self) -> Result<bool> {
        (self.subject.complies)(&self.account, &self.resource).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests;

    #[test]
    fn a_subject_stands_for_each_control_of_every_rule_and_for_no_other() {
        let shown = |of: &AnySubject| (Manifest::from_json(of.manifest).unwrap().id, of.control);
        let shown: Vec<_> = subjects::all().map(shown).collect();
        let manifests = manifests().unwrap();
        let controls = manifests.iter().flat_map(|of| (0..of.controls.len()).map(|control| (of.id.clone(), control)));
        assert_eq!(shown, controls.collect::<Vec<_>>());
    }
}
