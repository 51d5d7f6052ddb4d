//! Every kind of credentials, where it works and where it does not.

use std::process::Command;

use serde_json::Value;
use testkit::paths;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::Home;

const CONFIG: &str = "\
[profile keys]
aws_access_key_id = AKIAOFPROFILE
aws_secret_access_key = secret-of-profile

[profile chained]
role_arn = arn:aws:iam::111122223333:role/auditor
source_profile = keys
external_id = shared
duration_seconds = 7200

[profile of-environment]
role_arn = arn:aws:iam::111122223333:role/auditor
credential_source = Environment

[profile mfa]
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/me

[profile process]
credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"AKIAOFPROCESS\", \"SecretAccessKey\": \"secret-of-process\"}'

[profile pod]
role_arn = arn:aws:iam::111122223333:role/pod
web_identity_token_file = token

[profile region-only]
region = eu-west-1
";

const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIAOFENVIRONMENT"), ("AWS_SECRET_ACCESS_KEY", "secret-of-environment")];

/// Stands in for STS, for an instance's metadata and for a container's role. Who signs a call is in the ARN that
/// GetCallerIdentity answers; a role gives the key `ASSUMED-<role>`.
struct StandIn(MockServer);

impl StandIn {
    async fn start() -> Self {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        Self(server)
    }

    /// What STS was asked for so far, by the name of the parameter.
    async fn asked(&self, action: &str, parameter: &str) -> Vec<String> {
        let requests = self.0.received_requests().await.unwrap();
        let forms = requests.iter().map(form).filter(|form| value(form, "Action") == action);
        forms.map(|form| value(&form, parameter)).collect()
    }

    /// Who a doctor is, by the key that signed, with this environment and these arguments.
    async fn signed_by(&self, home: &Home, environment: &[(&str, &str)], arguments: &[&str]) -> String {
        let uri = self.0.uri();
        let stood_in = [("AWS_ENDPOINT_URL", uri.as_str())];
        let doctor = ["doctor", "--region", "eu-west-1", "--json"];
        let ran = home.run(&[&stood_in, environment].concat(), &[&doctor, arguments].concat());
        let checks: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.log));
        let said = checks.to_string();
        let key = said.split_once(":user/").unwrap_or_else(|| panic!("{said} {}", ran.log)).1;
        key.split('"').next().unwrap().to_owned()
    }
}

fn form(request: &Request) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let decoded = |text: &str| text.replace('+', " ").replace("%3A", ":").replace("%2F", "/");
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn value(form: &[(String, String)], name: &str) -> String {
    form.iter().find(|(of, _)| of == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

fn answer(request: &Request) -> ResponseTemplate {
    let json = |key: &str| {
        format!(
            r#"{{"Code": "Success", "AccessKeyId": "{key}", "SecretAccessKey": "s", "Token": "t",
                "Expiration": "2999-01-01T00:00:00Z"}}"#
        )
    };
    let text = |text: String| ResponseTemplate::new(200).set_body_string(text);
    match request.url.path() {
        "/latest/api/token" => text("token".into()).insert_header("x-aws-ec2-metadata-token-ttl-seconds", "21600"),
        "/latest/meta-data/iam/security-credentials/" => text("instance".into()),
        "/latest/meta-data/iam/security-credentials/instance" => text(json("ASIAOFINSTANCE")),
        "/container" => {
            let token = request.headers.get("authorization").map(|value| value.to_str().unwrap());
            text(json(if token == Some("token-of-pod") { "ASIAOFPOD" } else { "ASIAOFCONTAINER" }))
        }
        _ => sts(request),
    }
}

fn sts(request: &Request) -> ResponseTemplate {
    let form = form(request);
    let xml = |text: String| ResponseTemplate::new(200).set_body_raw(text, "text/xml");
    match value(&form, "Action").as_str() {
        "GetCallerIdentity" => {
            let signed = request.headers["authorization"].to_str().unwrap();
            let key = signed.split_once("Credential=").unwrap().1.split('/').next().unwrap();
            let result = format!("<Arn>arn:aws:iam::111122223333:user/{key}</Arn><Account>111122223333</Account>");
            xml(format!(
                "<GetCallerIdentityResponse><GetCallerIdentityResult>{result}</GetCallerIdentityResult></GetCallerIdentityResponse>"
            ))
        }
        action @ ("AssumeRole" | "AssumeRoleWithWebIdentity") => {
            let role = value(&form, "RoleArn").rsplit('/').next().unwrap().to_owned();
            let credentials = format!(
                "<AccessKeyId>ASSUMED-{role}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2999-01-01T00:00:00Z</Expiration>"
            );
            xml(format!(
                "<{action}Response><{action}Result><Credentials>{credentials}</Credentials></{action}Result></{action}Response>"
            ))
        }
        _ => ResponseTemplate::new(400),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_credentials_is_found_where_the_aws_cli_finds_it() {
    let (home, aws) = (Home::with(CONFIG), StandIn::start().await);
    let file = |name: &str, text: &str| {
        let path = home.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (token, pod) = (file("token", "a-token"), file("pod-token", "token-of-pod"));
    let container = format!("{}/container", aws.0.uri());
    let uri = aws.0.uri();
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()), ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/web")];
    let of_container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str())];
    let of_pod = [of_container[0], ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pod.as_str())];
    let of_instance = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", uri.as_str()), ("AWS_EC2_METADATA_DISABLED", "false")];
    let by_profile = [("AWS_PROFILE", "keys")];
    for (environment, arguments, key) in [
        (&KEYS[..], &[][..], "AKIAOFENVIRONMENT"),
        (&KEYS, &["--profile", "keys"], "AKIAOFPROFILE"),
        (&[KEYS[0], KEYS[1], by_profile[0]], &[], "AKIAOFENVIRONMENT"),
        (&by_profile, &[], "AKIAOFPROFILE"),
        (&[("AWS_DEFAULT_PROFILE", "keys")], &[], "AKIAOFPROFILE"),
        (&[("AWS_PROFILE", ""), KEYS[0], KEYS[1]], &[], "AKIAOFENVIRONMENT"),
        (&web, &[], "ASSUMED-web"),
        (&web, &["--profile", "keys"], "AKIAOFPROFILE"),
        (&KEYS, &["--profile", "chained"], "ASSUMED-auditor"),
        (&KEYS, &["--profile", "of-environment"], "ASSUMED-auditor"),
        (&[], &["--profile", "process"], "AKIAOFPROCESS"),
        (&[], &["--profile", "pod"], "ASSUMED-pod"),
        (&of_container, &[], "ASIAOFCONTAINER"),
        (&of_pod, &["--profile", "region-only"], "ASIAOFPOD"),
        (&of_instance, &["--profile", "region-only"], "ASIAOFINSTANCE"),
        (&of_instance, &[], "ASIAOFINSTANCE"),
    ] {
        assert_eq!(aws.signed_by(&home, environment, arguments).await, key, "{environment:?} {arguments:?}");
    }
    // Asked for once a run, with what the profile says.
    assert_eq!(aws.asked("AssumeRole", "DurationSeconds").await, ["7200", ""]);
    assert_eq!(aws.asked("AssumeRole", "ExternalId").await, ["shared", ""]);
}

/// Types what is asked for, on a terminal of its own.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if b"MFA code" in seen and seen.endswith(b": "):
        os.write(terminal, b"123456\n")
sys.stdout.buffer.write(seen)
os.waitpid(child, 0)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_code_of_an_mfa_device_is_asked_for_once_on_a_terminal() {
    let (home, aws) = (Home::with(CONFIG), StandIn::start().await);
    let output = Command::new("python3")
        .args(["-c", ON_A_TERMINAL, paths::binary("autoremediate").unwrap().to_str().unwrap()])
        .args(["doctor", "--profile", "mfa", "--region", "eu-west-1", "--all", "--no-pager"])
        .current_dir(home.0.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.0.path())
        .env("AWS_CONFIG_FILE", home.0.path().join("config"))
        .env("AWS_ENDPOINT_URL", aws.0.uri())
        .output()
        .unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(seen.contains("MFA code of arn:aws:iam::111122223333:mfa/me, for the profile mfa: "), "{seen}");
    assert!(seen.contains("ASSUMED-admin"), "{seen}");
    assert_eq!(aws.asked("AssumeRole", "TokenCode").await, ["123456"]);
    assert_eq!(aws.asked("AssumeRole", "SerialNumber").await, ["arn:aws:iam::111122223333:mfa/me"]);
}

#[test]
fn credentials_that_cannot_be_loaded_say_why_and_what_to_do_in_one_line() {
    let sso = "\
[profile outer]
role_arn = arn:aws:iam::111122223333:role/auditor
source_profile = people
[profile people]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Security
[profile no-session]
sso_session = nobody
sso_account_id = 111122223333
sso_role_name = Security
[profile no-account]
sso_session = corp
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
";
    let others = "\
[profile mfa]
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/me
[profile keys]
aws_access_key_id = AKIAOFPROFILE
aws_secret_access_key = secret-of-profile
[profile half]
aws_access_key_id = AKIAOFPROFILE
[profile console]
login_session = arn:aws:iam::111122223333:user/me
[profile fails]
credential_process = sh -c 'echo the vault is sealed >&2; exit 3'
[profile garbles]
credential_process = echo secret-of-process
[profile pod]
role_arn = arn:aws:iam::111122223333:role/pod
web_identity_token_file = /nonexistent/pod-token
[profile dangling]
role_arn = arn:aws:iam::111122223333:role/pod
source_profile = nobody
[profile region-only]
region = eu-west-1
";
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/web-token"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/web")];
    let pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/container"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent/eks-token"),
    ];
    let profile = |name| ["--profile", name];
    for (config, environment, arguments, said) in [
        (sso, &[][..], &profile("outer")[..], &["aws sso login --profile people"][..]),
        (sso, &[("AWS_PROFILE", "outer")], &[], &["aws sso login --profile people"]),
        (sso, &[], &profile("no-session"), &["`nobody`", "no-session"]),
        (sso, &[], &profile("no-account"), &["sso_account_id", "no-account"]),
        (sso, &[], &profile("prod"), &["there is no profile `prod`", "`people`", "correct --profile"]),
        (sso, &[("AWS_PROFILE", "prod")], &[], &["there is no profile `prod`", "correct AWS_PROFILE"]),
        (sso, &[KEYS[0], KEYS[1], ("AWS_PROFILE", "prod")], &[], &["there is no profile `prod`"]),
        (
            others,
            &[],
            &profile("mfa"),
            &["arn:aws:iam::111122223333:mfa/me", "no terminal", "export-credentials --profile mfa"],
        ),
        (others, &[], &profile("half"), &["`half`", "aws_secret_access_key"]),
        (others, &[], &profile("console"), &["`console`", "log in: aws login --profile console"]),
        (others, &[], &profile("fails"), &["credential_process of the profile `fails`", "the vault is sealed"]),
        (others, &[], &profile("garbles"), &["credential_process of the profile `garbles`"]),
        (others, &[], &profile("pod"), &["/nonexistent/pod-token", "No such file"]),
        (others, &[], &profile("dangling"), &["`dangling` has source_profile = nobody"]),
        (others, &[], &profile("region-only"), &["the profile `region-only` has none"]),
        (others, &web, &[], &["/nonexistent/web-token", "No such file"]),
        (others, &pod, &[], &["/nonexistent/eks-token", "No such file"]),
        (others, &[], &[], &["there are none in the environment", "--profile"]),
        ("[default]\nregion = eu-west-1\n[profile broken\n", &[], &[], &["config", "line 3"]),
    ] {
        let (code, _, log) = Home::with(config).plan(environment, &[arguments, &["--region", "eu-west-1"]].concat());
        assert!(code == 1 && log.lines().count() == 1, "{environment:?} {arguments:?}: {code} {log}");
        assert!(said.iter().all(|part| log.contains(part)), "{environment:?} {arguments:?}: {log}");
        // What a Debug dump looks like, and what must be in no message.
        for part in ["Error(", "Error {", "Some(", " { ", "\\n", "secret-of"] {
            assert!(!log.contains(part), "{part}: {log}");
        }
    }
}
