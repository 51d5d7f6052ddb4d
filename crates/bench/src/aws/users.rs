//! IAM's users, each with one access key.

use jiff::{SignedDuration, Timestamp};

use super::Things;
use super::call::{Call, Output, Refusal, Result, unknown};

/// How old each key is.
const AGE: SignedDuration = SignedDuration::from_hours(24 * 200);

/// The users.
#[derive(Debug, Default)]
pub(crate) struct Users(Things<User>);

#[derive(Debug)]
struct User {
    key: String,
    status: String,
}

impl Users {
    /// Makes a user with an old key that nobody has used lately, and gives the user's name.
    pub(crate) fn violate(&mut self, account: &str, n: usize) -> String {
        let user = User { key: format!("AKIA{n:016}"), status: "Active".into() };
        self.0.insert(account, format!("user-{n:06}"), user)
    }

    pub(crate) fn answer(&mut self, call: &Call, account: &str) -> Result<Output> {
        let (form, made) = (call.form()?, Timestamp::now() - AGE);
        if call.operation == "GetAccessKeyLastUsed" {
            let used = "<Region>N/A</Region><ServiceName>N/A</ServiceName>";
            return Ok(Output::Xml(format!("<AccessKeyLastUsed>{used}</AccessKeyLastUsed>")));
        }
        let name = form.required("UserName")?;
        let user = self.0.get_mut(account, name);
        let user = user.ok_or_else(|| Refusal::new(404, "NoSuchEntity", format!("there is no user {name}")))?;
        let User { key, status } = &*user;
        match call.operation.as_str() {
            "GetUser" => Ok(Output::Xml(format!(
                "<User><Path>/</Path><UserName>{name}</UserName><UserId>AIDA{name}</UserId>\
                 <Arn>arn:aws:iam::{account}:user/{name}</Arn><CreateDate>{made:.0}</CreateDate></User>"
            ))),
            "ListAccessKeys" => Ok(Output::Xml(format!(
                "<IsTruncated>false</IsTruncated><AccessKeyMetadata><member><UserName>{name}</UserName>\
                 <AccessKeyId>{key}</AccessKeyId><Status>{status}</Status><CreateDate>{made:.0}</CreateDate></member>\
                 </AccessKeyMetadata>"
            ))),
            "UpdateAccessKey" if form.required("AccessKeyId")? == key => {
                user.status = form.required("Status")?.to_owned();
                Ok(Output::Xml(String::new()))
            }
            "UpdateAccessKey" => Err(Refusal::new(404, "NoSuchEntity", "the user has no such key")),
            other => Err(unknown(other)),
        }
    }
}
