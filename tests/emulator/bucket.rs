//! Who may write what to the bucket: every role of the deployment, and a stranger, against every prefix, in every way to
//! write. First with the roles' own policies, then with all of S3 allowed to each of them, so that the bucket's policy
//! alone decides.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{Tag, Tagging};
use futures::{StreamExt, stream};
use remediation::records::TURNS_KEY;
use remediation::{DEPLOYED_POLICY_KEY, ORGANIZATION_KEY, PAUSES_KEY, POLICY_KEY};
use serde_json::json;
use testkit::account::{REGION, fresh_account};
use testkit::deployment::{Deployment, Settings};
use testkit::emulator::Emulator;
use testkit::manifests;
use testkit::netskope::FakeNetskope;

const FOLDERS: [&str; 7] = ["findings", "plans", "reports", "approvals", "resources", "ledgers", "overrides"];
/// The roles of people, and that of Terraform.
const PEOPLE: [&str; 6] = ["operator", "approver", "pauser", "reader", "stranger", "terraform"];
/// The objects that are in no folder.
const OBJECTS: [&str; 5] = [DEPLOYED_POLICY_KEY, ORGANIZATION_KEY, PAUSES_KEY, POLICY_KEY, TURNS_KEY];
/// Folders, and one place below none, that nobody writes to.
const ELSEWHERE: [&str; 4] = ["elsewhere/x", "ledgers", "plans2/x", "ledgers/command-line2"];
/// How many calls are under way at a time.
const CALLS: usize = 8;

/// A way to write, or not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A new object, on condition that there is none.
    New,
    /// On condition that there is none, where there is one.
    Again,
    /// On condition that it is the version that was read.
    Replace,
    /// Without a condition.
    Bare,
    /// A copy of another object.
    Copy,
    /// The beginning of an upload in parts.
    Parts,
    Tag,
    Delete,
    DeleteVersion,
    Get,
}

const WAYS: [Way; 10] = [
    Way::New,
    Way::Again,
    Way::Replace,
    Way::Bare,
    Way::Copy,
    Way::Parts,
    Way::Tag,
    Way::Delete,
    Way::DeleteVersion,
    Way::Get,
];

/// A role of the central account.
struct Role {
    name: String,
    s3: Client,
}

/// One object that is there already.
struct Existing {
    key: String,
    tag: String,
    version: String,
}

/// One call of the matrix.
#[derive(Clone, Copy)]
struct Case<'a> {
    role: &'a Role,
    way: Way,
    folder: &'a str,
    existing: &'a Existing,
}

/// The central account in one region, of no use without targets.
struct Central {
    deployment: Deployment,
    _netskope: FakeNetskope,
}

#[tokio::test]
async fn each_role_writes_only_its_own_and_nobody_deletes() {
    let central = Central::deploy().await;
    central.lets_each_role_write_only_its_own().await;
    central.is_destroyed_where_that_is_forced().await;
}

impl Central {
    async fn deploy() -> Self {
        let netskope = FakeNetskope::start("a-token").await;
        netskope.set_rows(Vec::new());
        let settings = Settings {
            central: fresh_account(),
            regions: vec![vec![REGION.into()]],
            targets: Vec::new(),
            policy: json!({"mode": "plan"}),
            netskope: netskope.url(),
            token: "a-token".into(),
        };
        let emulator = Emulator::shared().await.unwrap();
        // The account is in no organization, so nobody writes the record any more once every rule was polled for.
        let deployment = Deployment::apply_with(emulator, settings, &[("organization", "{}")]).await.unwrap();
        deployment.done(Duration::from_secs(120)).await.unwrap();
        Self { deployment, _netskope: netskope }
    }

    /// Terraform's role deletes nothing in a bucket unless force_destroy is set, like everybody else.
    async fn is_destroyed_where_that_is_forced(&self) {
        self.deployment.destroy_central().await.unwrap();
        let testkit::central::Central { account, bucket, .. } = self.deployment.home();
        for bucket in [bucket.clone(), format!("{bucket}-logs")] {
            let error = account.s3.head_bucket().bucket(&bucket).send().await.unwrap_err();
            assert!(error.into_service_error().is_not_found(), "{bucket} is still there");
        }
    }

    async fn lets_each_role_write_only_its_own(&self) {
        let roles = self.roles().await;
        let rules: Vec<_> = manifests().unwrap().into_iter().map(|manifest| manifest.id).collect();
        let names: Vec<_> = rules.iter().map(String::as_str).chain(["no-such-rule", "command-line"]).collect();
        let folders = FOLDERS.iter().flat_map(|folder| names.iter().map(move |name| format!("{folder}/{name}")));
        let folders: Vec<_> = folders.chain(ELSEWHERE.map(String::from)).collect();
        let mut existing = BTreeMap::new();
        for folder in folders.iter().map(String::as_str).chain(OBJECTS) {
            existing.insert(folder.to_owned(), self.existing(folder).await);
        }
        let cases = |ways: &[Way]| {
            let mut cases = Vec::new();
            for role in &roles {
                for (folder, existing) in &existing {
                    cases.extend(ways.iter().map(|way| Case { role, way: *way, folder, existing }));
                }
            }
            cases
        };
        // The roles of the Lambdas are of use in their own function alone, which this is not.
        self.try_all(cases(&[Way::New]), "own").await;
        for role in &roles {
            self.allow_all_of_s3(&role.name).await;
        }
        // Every way where the role may write, and by some roles everywhere.
        let worth_it = |case: &Case| {
            let everywhere = PEOPLE.contains(&case.role.name.as_str());
            case.way == Way::New || everywhere || writers(case.folder).contains(&case.role.name)
        };
        self.try_all(cases(&WAYS).into_iter().filter(worth_it).collect(), "all").await;
        for role in &roles {
            let iam = &self.deployment.home().account.iam;
            iam.delete_role_policy().role_name(&role.name).policy_name("all-of-s3").send().await.unwrap();
        }
    }

    async fn try_all(&self, cases: Vec<Case<'_>>, round: &str) {
        let tried = cases.into_iter().map(|case| async move {
            let came = self.attempt(&case, round).await;
            let Case { role, way, folder, .. } = case;
            let is_of_lambda = !PEOPLE.contains(&role.name.as_str());
            let expected = if round == "own" && is_of_lambda { REFUSED } else { expected(&role.name, folder, way) };
            (came != expected).then(|| format!("{} {way:?} {folder}: {came}, not {expected}", role.name))
        });
        let wrong: Vec<_> =
            stream::iter(tried).buffer_unordered(CALLS).filter_map(|wrong| async { wrong }).collect().await;
        assert!(wrong.is_empty(), "{round}: {wrong:#?}");
    }

    /// What came of one call: `ok`, or the error's code.
    async fn attempt(&self, Case { role, way, folder, existing }: &Case<'_>, round: &str) -> String {
        let (s3, bucket) = (&role.s3, &self.deployment.home().bucket);
        let Existing { key, tag, version } = existing;
        let new =
            if OBJECTS.contains(folder) { key.clone() } else { format!("{folder}/new-{}-{round}.txt", role.name) };
        let put = |key: &str| s3.put_object().bucket(bucket).key(key).body(b"new".to_vec().into());
        let came = match way {
            Way::New => ended(put(&new).if_none_match("*").send().await),
            Way::Again => ended(put(key).if_none_match("*").send().await),
            // What else is done to them here changes what Terraform has written.
            Way::Replace if is_of_terraform(folder) => expected(&role.name, folder, *way).into(),
            // Several roles replace it at once, so that its version is another one each time.
            Way::Replace if *folder == PAUSES_KEY => {
                let head =
                    self.deployment.home().account.s3.head_object().bucket(bucket).key(key).send().await.unwrap();
                match ended(put(key).if_match(head.e_tag.unwrap()).send().await) {
                    came if came == "PreconditionFailed" => "ok".into(),
                    came => came,
                }
            }
            Way::Replace => ended(put(key).if_match(tag).send().await),
            Way::Bare => ended(put(key).send().await),
            Way::Copy => {
                let source = format!("{bucket}/{}/existing.txt", ELSEWHERE[0]);
                ended(s3.copy_object().bucket(bucket).key(&new).copy_source(source).send().await)
            }
            Way::Parts => ended(s3.create_multipart_upload().bucket(bucket).key(&new).send().await),
            Way::Tag => {
                let tag = Tag::builder().key("k").value("v").build().unwrap();
                let tags = Tagging::builder().tag_set(tag).build().unwrap();
                ended(s3.put_object_tagging().bucket(bucket).key(key).tagging(tags).send().await)
            }
            Way::Delete => ended(s3.delete_object().bucket(bucket).key(key).send().await),
            Way::DeleteVersion => ended(s3.delete_object().bucket(bucket).key(key).version_id(version).send().await),
            Way::Get => ended(s3.get_object().bucket(bucket).key(key).send().await),
        };
        if *way == Way::Replace && came == "ok" && !OBJECTS.contains(folder) {
            // As it was, for the next role that may.
            self.deployment.home().account.put(bucket, key, body(folder)).await.unwrap();
        }
        came
    }

    /// An object that is in this folder already, stored by the account's root.
    async fn existing(&self, folder: &str) -> Existing {
        let key = if OBJECTS.contains(&folder) { folder.to_owned() } else { format!("{folder}/existing.txt") };
        let (account, bucket) = (&self.deployment.home().account, &self.deployment.home().bucket);
        if !is_of_terraform(folder) {
            account.put(bucket, &key, body(folder)).await.unwrap();
        }
        let head = account.s3.head_object().bucket(bucket).key(&key).send().await.unwrap();
        Existing { key, tag: head.e_tag.unwrap(), version: head.version_id.unwrap() }
    }

    /// Every role of the central account: those that Terraform has made in the home region, those of people, the one that
    /// Terraform runs as, and a stranger with the policies of both kinds of people.
    async fn roles(&self) -> Vec<Role> {
        let account = &self.deployment.home().account;
        for kind in ["approver", "operator", "pauser", "reader"] {
            self.deployment.person(kind).await.unwrap();
        }
        self.deployment.stranger().await.unwrap();
        let listed =
            account.iam.list_roles().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
        let here = |name: &str| name.ends_with(REGION) || !name.starts_with("autoremediate-");
        let mut roles = Vec::new();
        for role in listed.into_iter().filter(|role| here(&role.role_name)) {
            let config = account.as_role(&role.arn).await.unwrap();
            let s3 = Client::new(&Emulator::shared().await.unwrap().as_product(&config).unwrap());
            roles.push(Role { name: role.role_name, s3 });
        }
        let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        assert!(PEOPLE.iter().all(|name| names.contains(name)), "{names:?}");
        assert!(roles.len() >= PEOPLE.len() + manifests().unwrap().len() + 2, "{names:?}");
        roles
    }

    async fn allow_all_of_s3(&self, role: &str) {
        let all =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
        let put = self.deployment.home().account.iam.put_role_policy().role_name(role).policy_name("all-of-s3");
        put.policy_document(all.to_string()).send().await.unwrap();
    }
}

/// Whether Terraform writes it, on no condition.
fn is_of_terraform(folder: &str) -> bool {
    [POLICY_KEY, DEPLOYED_POLICY_KEY].contains(&folder)
}

fn body(folder: &str) -> Vec<u8> {
    folder.as_bytes().to_vec()
}

fn ended<T, E: ProvideErrorMetadata, R>(answer: Result<T, SdkError<E, R>>) -> String {
    match answer {
        Ok(_) => "ok".into(),
        Err(error) => error.code().unwrap_or("no code").to_owned(),
    }
}

/// The roles that may put into a folder, which is written out here once more.
fn writers(folder: &str) -> Vec<String> {
    let of_rule = |rule: &str| format!("autoremediate-{rule}-{REGION}");
    match folder.split('/').collect::<Vec<_>>()[..] {
        ["findings", _] => vec![of_rule("poller")],
        ["approvals", _] => vec!["approver".into()],
        ["plans" | "reports" | "resources", rule] => vec![of_rule(rule), "operator".into()],
        ["ledgers", "command-line"] | ["overrides", _] => vec!["operator".into()],
        ["ledgers", rule] => vec![of_rule(rule)],
        [POLICY_KEY | DEPLOYED_POLICY_KEY] => vec!["terraform".into()],
        [PAUSES_KEY] => vec!["pauser".into(), "operator".into()],
        [ORGANIZATION_KEY | TURNS_KEY] => vec![of_rule("poller")],
        _ => Vec::new(),
    }
}

const REFUSED: &str = "AccessDenied";

/// What a call comes to.
fn expected(role: &str, folder: &str, way: Way) -> &'static str {
    let may_put = writers(folder).iter().any(|writer| writer == role);
    let is_policy = is_of_terraform(folder);
    let is_replaced = ["resources/", "ledgers/", PAUSES_KEY, ORGANIZATION_KEY, TURNS_KEY];
    let is_replaced = is_replaced.iter().any(|of| folder.starts_with(of));
    match way {
        Way::Get => "ok",
        Way::Tag | Way::Delete | Way::DeleteVersion => REFUSED,
        _ if !may_put => REFUSED,
        Way::New if OBJECTS.contains(&folder) => "PreconditionFailed",
        Way::New => "ok",
        Way::Again => "PreconditionFailed",
        Way::Replace if is_policy || is_replaced => "ok",
        Way::Bare | Way::Copy | Way::Parts if is_policy => "ok",
        Way::Replace | Way::Bare | Way::Copy | Way::Parts => REFUSED,
    }
}
