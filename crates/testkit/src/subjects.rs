//! One module for each rule, of the rule's name: how to make, break, tag and look at a resource of it, with the full
//! rights of its account and without the rule's code. The table of [cases](crate::cases), the demo and the test of the
//! pipeline all make their resources here.
//!
//! A module has a [`Subject`] for each way in which a resource can violate the rule and be fixed, runs the table of
//! cases on it, and lists in `SUBJECTS` the one that stands for each of the rule's controls.

use std::future::Future;

use futures::future::LocalBoxFuture;
use remediation::Rule;
use serde_json::{Value, json};

use crate::Result;
use crate::account::Account;

/// A kind of resource that a rule is tested by.
pub trait Subject: 'static {
    /// The rule.
    type Rule: Rule;
    /// The control that the violating resource fails, by its place in the rule's manifest.
    const CONTROL: usize = 0;
    /// What the demo calls its resource.
    const NAME: &'static str;
    /// What is wrong with the violating resource, in a few words.
    const FOUND: &'static str;
    /// The code by which the rule's service throttles, and the actions that the fix of the violating resource calls.
    const THROTTLED: (&str, &[&str]);

    /// The actions that a fix or an undo calls under other settings alone. The rule's own tests take them away.
    const WITH_OTHER_SETTINGS: &[&str] = &[];

    /// The rule's settings, as in a policy, under which the violating resource is fixed without a person's approval.
    fn settings() -> Value {
        json!({})
    }

    /// Makes a resource that violates, and gives its name as a finding has it.
    fn violating(account: &Account, name: &str) -> impl Future<Output = Result<String>>;
    /// Makes a resource that complies, and gives its name as a finding has it.
    fn complying(account: &Account, name: &str) -> impl Future<Output = Result<String>>;
    /// The name of a resource that does not exist.
    fn gone(account: &Account) -> String;
    /// Every form in which a finding may name the resource.
    fn names(account: &Account, resource: &str) -> Vec<String>;
    /// Gives the resource a tag.
    fn tag(account: &Account, resource: &str, key: &str, value: &str) -> impl Future<Output = Result<()>>;
    /// Everything about the resource that the rule may change or must leave alone.
    fn describe(account: &Account, resource: &str) -> impl Future<Output = Result<Value>>;
    /// Whether the resource complies.
    fn complies(account: &Account, resource: &str) -> impl Future<Output = Result<bool>>;
}

/// A [`Subject`] without its type.
#[derive(Debug, Clone, Copy)]
pub struct AnySubject {
    /// The manifest of its rule.
    pub manifest: &'static str,
    /// [`Subject::CONTROL`].
    pub control: usize,
    /// [`Subject::NAME`].
    pub name: &'static str,
    /// [`Subject::FOUND`].
    pub found: &'static str,
    /// [`Subject::settings`].
    pub settings: fn() -> Value,
    /// [`Subject::violating`].
    pub violating: for<'a> fn(&'a Account, &'a str) -> LocalBoxFuture<'a, Result<String>>,
    /// [`Subject::describe`].
    pub describe: for<'a> fn(&'a Account, &'a str) -> LocalBoxFuture<'a, Result<Value>>,
    /// [`Subject::complies`].
    pub complies: for<'a> fn(&'a Account, &'a str) -> LocalBoxFuture<'a, Result<bool>>,
}

impl AnySubject {
    /// That of `S`.
    pub const fn of<S: Subject>() -> Self {
        Self {
            manifest: S::Rule::MANIFEST,
            control: S::CONTROL,
            name: S::NAME,
            found: S::FOUND,
            settings: S::settings,
            violating: |account, name| Box::pin(S::violating(account, name)),
            describe: |account, resource| Box::pin(S::describe(account, resource)),
            complies: |account, resource| Box::pin(S::complies(account, resource)),
        }
    }
}

macro_rules! subjects {
    ($($rule:ident::$type:ident,)+) => {
        $(pub mod $rule;)+

        /// The subjects of all rules that stand for a control.
        pub fn all() -> impl Iterator<Item = &'static AnySubject> {
            [$($rule::SUBJECTS),+].into_iter().flatten()
        }
    };
}
rules::each_rule!(subjects);
