//! What a request asks of AWS, and who asks: the same for each of its protocols.
//!
//! The protocols are those that the SDK speaks: parameters in a form for EC2 and the older services, JSON for the newer
//! ones, and paths for S3. <https://smithy.io/2.0/aws/protocols/index.html>

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::server::{Answer, Request};

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    /// The service, as the signature names it.
    pub(crate) service: String,
    /// The operation, as the service's API reference names it.
    pub(crate) operation: String,
    pub(crate) region: String,
    pub(crate) caller: Caller,
    pub(crate) input: Input,
    pub(crate) request: Request,
}

/// Whose credentials signed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The Lambda's own role, in the central account.
    Central,
    /// A session in a target account.
    Session {
        account: String,
        /// Whether its session policy permits reads alone.
        read_only: bool,
    },
}

/// The parameters of a call.
#[derive(Debug)]
pub(crate) enum Input {
    Form(Form),
    Json(Value),
    /// Those of S3 are the request itself.
    Rest,
}

/// The parameters of the query protocols.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

/// The result of a call, in the protocol of its service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    /// What the operation's element holds.
    Xml(String),
    Json(Value),
    /// The whole answer, as S3 gives it.
    Whole(Answer),
}

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// How the access key of a session begins; after it come the account and [`READS`] or [`WRITES`].
const SESSION: &str = "ASIA";
const READS: char = 'R';
const WRITES: char = 'W';

impl Caller {
    /// The access key of a session.
    pub(crate) fn access_key(account: &str, read_only: bool) -> String {
        format!("{SESSION}{account}{}", if read_only { READS } else { WRITES })
    }

    fn of_access_key(key: &str) -> Self {
        let session = key.strip_prefix(SESSION).and_then(|rest| Some((rest.get(..12)?, rest.ends_with(READS))));
        match session {
            Some((account, read_only)) => Self::Session { account: account.to_owned(), read_only },
            None => Self::Central,
        }
    }
}

impl Call {
    /// The call that a request makes.
    ///
    /// # Errors
    ///
    /// It is not signed as AWS wants it, or names no operation.
    pub(crate) fn of(request: Request) -> Result<Self> {
        let scope = request.header("authorization").and_then(|text| text.split_once("Credential="));
        let scope =
            scope.and_then(|(_, rest)| rest.split(',').next()).map(|scope| scope.split('/').collect::<Vec<_>>());
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
        let Some([key, _, region, service, _]) = scope.as_deref() else {
            return Err(Refusal::new(403, "MissingAuthenticationToken", "the request is not signed"));
        };
        let (caller, region, service) = (Caller::of_access_key(key), (*region).to_owned(), (*service).to_owned());
        let (operation, input) = match service.as_str() {
            "s3" => (s3_operation(&request)?.to_owned(), Input::Rest),
            _ => match request.header("x-amz-target").and_then(|target| target.rsplit('.').next()) {
                Some(operation) => {
                    let input = serde_json::from_slice(&request.body);
                    let input =
                        input.map_err(|error| Refusal::new(400, "SerializationException", error.to_string()))?;
                    (operation.to_owned(), Input::Json(input))
                }
                None => {
                    let form = Form(url::form_urlencoded::parse(&request.body).into_owned().collect());
                    let operation = form.text("Action").ok_or_else(|| unknown("an action"))?.to_owned();
                    (operation, Input::Form(form))
                }
            },
        };
        Ok(Self { service, operation, region, caller, input, request })
    }

    /// The API by which calls are counted, such as `ec2:DescribeVpcs`.
    pub(crate) fn api(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Whether it only reads.
    pub(crate) fn is_read(&self) -> bool {
        ["Describe", "Get", "List"].iter().any(|verb| self.operation.starts_with(verb))
    }

    /// Whether it is one of the calls that a fix makes in the target account, or for a session there.
    pub(crate) fn is_targets(&self) -> bool {
        self.service == "sts" || matches!(self.caller, Caller::Session { .. })
    }

    /// The parameters of a call of a query protocol.
    pub(crate) fn form(&self) -> Result<&Form> {
        if let Input::Form(form) = &self.input { Ok(form) } else { Err(unknown("a form")) }
    }

    /// A text among the parameters of a JSON protocol.
    pub(crate) fn json(&self, name: &str) -> Result<&str> {
        let Input::Json(input) = &self.input else { return Err(unknown("JSON")) };
        input[name].as_str().ok_or_else(|| Refusal::new(400, "ValidationException", format!("{name} is missing")))
    }

    /// The answer, as the call's protocol has it.
    pub(crate) fn answer(&self, result: Result<Output>) -> Answer {
        let operation = &self.operation;
        match result {
            Ok(Output::Whole(answer)) => answer,
            Ok(Output::Json(output)) => Answer::new(200, output.to_string()),
            Ok(Output::Xml(inner)) if self.service == "ec2" => {
                Answer::new(200, format!("<{operation}Response><requestId>r</requestId>{inner}</{operation}Response>"))
            }
            Ok(Output::Xml(inner)) => {
                let result = format!("<{operation}Result>{inner}</{operation}Result>");
                Answer::new(200, format!("<{operation}Response>{result}</{operation}Response>"))
            }
            Err(refusal) => refusal.answer(&self.service, matches!(self.input, Input::Json(_))),
        }
    }
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn answer(&self, service: &str, is_json: bool) -> Answer {
        let Self { status, code, message } = self;
        if is_json {
            return Answer::new(*status, json!({"__type": code, "message": message}).to_string());
        }
        let error = format!("<Code>{code}</Code><Message>{}</Message>", xml(message));
        let body = match service {
            "s3" => format!("<Error>{error}</Error>"),
            "ec2" => format!("<Response><Errors><Error>{error}</Error></Errors><RequestID>r</RequestID></Response>"),
            _ => format!("<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"),
        };
        Answer::new(*status, body)
    }
}

impl Form {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// A parameter without which the call makes no sense.
    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        self.text(name).ok_or_else(|| Refusal::new(400, "MissingParameter", format!("{name} is missing")))
    }

    /// The values of a list, such as `GroupId.1`, `GroupId.2`.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|n| self.text(&format!("{name}.{n}"))).collect()
    }

    /// The values of the filter of this name; none where there is no such filter. The services call its parts
    /// differently: EC2 `Filter.1.Value.1`, RDS `Filters.Filter.1.Values.Value.1`.
    pub(crate) fn filter(&self, name: &str) -> Option<Vec<&str>> {
        ["Filter", "Filters.Filter"].into_iter().find_map(|filter| {
            let names = (1..).map_while(|n| Some((n, self.text(&format!("{filter}.{n}.Name"))?)));
            let (n, _) = names.into_iter().find(|(_, of)| *of == name)?;
            let values = self.list(&format!("{filter}.{n}.Value"));
            Some(if values.is_empty() { self.list(&format!("{filter}.{n}.Values.Value")) } else { values })
        })
    }

    /// Whether a call is of the kind of which EC2 has a smaller bucket: neither filtered nor by pages.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.text("Filter.1.Name").is_none() && self.text("MaxResults").is_none()
    }
}

/// A text within XML.
pub(crate) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// An operation, or a form of it, that no rule makes.
pub(crate) fn unknown(what: &str) -> Refusal {
    Refusal::new(501, "NotImplemented", format!("the stand-in does not know {what}"))
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>
fn s3_operation(request: &Request) -> Result<&'static str> {
    let has = |name: &str| request.query.split('&').any(|pair| pair == name || pair.starts_with(&format!("{name}=")));
    let has_key = request.path.trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    match (request.method.as_str(), has_key) {
        ("GET", true) => Ok("GetObject"),
        ("PUT", true) => Ok("PutObject"),
        ("GET", false) if has("publicAccessBlock") => Ok("GetPublicAccessBlock"),
        ("PUT", false) if has("publicAccessBlock") => Ok("PutPublicAccessBlock"),
        ("GET", false) if has("website") => Ok("GetBucketWebsite"),
        ("GET", false) if has("list-type") => Ok("ListObjectsV2"),
        (method, _) => Err(unknown(&format!("{method} {}?{} of S3", request.path, request.query))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_found_in_the_form_of_each_service() {
        let form = |pairs: &[(&str, &str)]| Form(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect());
        let ec2 = form(&[
            ("Filter.1.Name", "status"),
            ("Filter.1.Value.1", "in-use"),
            ("Filter.2.Name", "vpc-id"),
            ("Filter.2.Value.1", "vpc-1"),
            ("Filter.2.Value.2", "vpc-2"),
        ]);
        assert_eq!(ec2.filter("vpc-id"), Some(vec!["vpc-1", "vpc-2"]));
        assert_eq!(ec2.filter("group-id"), None);
        let rds = form(&[("Filters.Filter.1.Name", "db-instance-id"), ("Filters.Filter.1.Values.Value.1", "db-1")]);
        assert_eq!(rds.filter("db-instance-id"), Some(vec!["db-1"]));
        assert!(rds.is_unbounded() && !ec2.is_unbounded());
    }

    #[test]
    fn an_access_key_tells_whose_session_it_is() {
        let session = |read_only| Caller::Session { account: "123456789012".into(), read_only };
        for read_only in [true, false] {
            assert_eq!(Caller::of_access_key(&Caller::access_key("123456789012", read_only)), session(read_only));
        }
        assert_eq!(Caller::of_access_key("AKIACENTRAL"), Caller::Central);
    }
}
