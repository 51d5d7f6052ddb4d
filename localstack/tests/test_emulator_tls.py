"""`start --tls`: a second listener, which is what aws:SecureTransport means then."""

import json
import socket
import ssl
import time
import urllib.error
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ConnectionClosedError, SSLError
from emulator_process import Emulator, wait_until_active
from functions import allow, deny, policy, trust, zipped
from refusals import refusal


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    running = Emulator(tmp_path_factory.mktemp("tls") / "emulator", "--tls").wait_until_ready()
    yield running
    assert running.stop() == 0
    assert running.leftovers() == []


@pytest.fixture
def over_tls(secure):
    def client(service: str, credentials: dict | str):
        return secure.client(service, credentials, endpoint_url=secure.https, verify=secure.ca)

    return client


@pytest.fixture
def session(secure, account):
    """Of a role that may do all of S3, but only over TLS.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html (aws:SecureTransport)
    """
    iam, insecure = secure.client("iam", account), {"Bool": {"aws:SecureTransport": "false"}}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=policy(trust({"AWS": "*"})))["Role"]["Arn"]
    document = policy(allow("s3:*"), deny("s3:*", Condition=insecure))
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    sts = secure.client("sts", account)
    return sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]


def test_its_authority_is_what_a_client_has_to_trust(secure, account, over_tls):
    over_tls("s3", account).create_bucket(Bucket=f"tls-{account}")
    assert [each["Name"] for each in secure.client("s3", account).list_buckets()["Buckets"]] == [f"tls-{account}"]
    with pytest.raises(SSLError):
        secure.client("s3", account, endpoint_url=secure.https).list_buckets()


def test_its_certificate_is_in_order(secure):
    """For the address and for localhost, and by the strictest rules that OpenSSL has."""
    context = ssl.create_default_context(cafile=secure.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    address = urlsplit(secure.https)
    for name in ("127.0.0.1", "localhost"):
        with socket.create_connection((address.hostname, address.port)) as connection:
            with context.wrap_socket(connection, server_hostname=name) as wrapped:
                assert wrapped.version() in ("TLSv1.2", "TLSv1.3")
    with socket.create_connection((address.hostname, address.port)) as connection:
        with pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(connection, server_hostname="127.0.0.2")


def test_it_listens_on_one_address_only(secure):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", urlsplit(secure.https).port))


def test_it_tells_where_it_is(secure, emulator):
    assert secure.get("tls") == {"url": secure.https, "ca": secure.ca}
    with pytest.raises(urllib.error.HTTPError) as caught:
        emulator.get("tls")
    assert caught.value.code == 404


def test_secure_transport_is_tls(secure, session, over_tls):
    assert refusal(secure.client("s3", session).list_buckets)[:2] == (403, "AccessDenied")
    over_tls("s3", session).list_buckets()


def test_without_the_listener_plain_http_stands_for_tls(emulator, account, make_role, session_of):
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    role = make_role(account, "r", trust({"AWS": "*"}), allow("s3:*"), deny("s3:*", Condition=insecure))
    emulator.client("s3", session_of(role)).list_buckets()


def test_connections_break_over_tls_too(secure, account, session, over_tls):
    s3, bucket = over_tls("s3", session), f"tls-broken-{account}"
    s3.create_bucket(Bucket=bucket)
    secure.put(f"faults/{account}", **{"s3:PutObject": ["Lost"], "s3:GetObject": ["Cut"]})
    started = time.monotonic()
    with pytest.raises((ConnectionClosedError, SSLError)):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 1000)
    with pytest.raises((BotoCoreError, OSError)):
        s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert time.monotonic() - started < 30  # the client's own patience is 60 s
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x" * 1000


@pytest.mark.parametrize("own", [{}, {"AWS_CA_BUNDLE": "/nowhere/ca.pem"}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}])
def test_a_function_reaches_it_over_tls(secure, account, own):
    """What its own variables say comes first."""
    iam, functions = secure.client("iam", account), secure.client("lambda", account)
    trusted = policy(trust({"Service": "lambda.amazonaws.com"}))
    role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    iam.put_role_policy(RoleName="f", PolicyName="p", PolicyDocument=policy(allow(["sts:AssumeRole", "logs:*"])))
    other = iam.create_role(RoleName="o", AssumeRolePolicyDocument=policy(trust({"AWS": "*"})))["Role"]["Arn"]
    functions.create_function(
        FunctionName="f", Runtime="provided.al2023", Handler="bootstrap", Role=role, Code={"ZipFile": zipped()},
        Timeout=20, Environment={"Variables": own},
    )
    wait_until_active(functions, "f")
    event = {} if own else {"assume": {"RoleArn": other, "RoleSessionName": "test"}}
    answer = json.load(functions.invoke(FunctionName="f", Payload=json.dumps(event))["Payload"])
    found = {name: answer["environment"].get(name) for name in ("AWS_ENDPOINT_URL", "AWS_CA_BUNDLE")}
    expected = {"AWS_ENDPOINT_URL": secure.https, "AWS_CA_BUNDLE": secure.ca}
    if "AWS_ENDPOINT_URL" in own:
        expected["AWS_CA_BUNDLE"] = None
    assert found == expected | own
    if not own:
        assert answer["identity"].endswith("assumed-role/o/test")
