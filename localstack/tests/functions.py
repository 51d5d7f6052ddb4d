"""Tiny Lambda functions: a `bootstrap` in Python that does what its event says."""

import io
import json
import sys
import zipfile

BOOTSTRAP = (
    f"#!{sys.executable}\n"
    + r'''
import http.client, json, os, sys, time

if os.environ.get("INIT") == "exit":
    print("giving up", flush=True)
    sys.exit(4)
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
BASE = "/2018-06-01/runtime"

def post(path, body, **options):
    api.request("POST", BASE + path, body, **options)
    api.getresponse().read()

if os.environ.get("INIT") == "error":
    post("/init/error", json.dumps({"errorType": "Init", "errorMessage": "no settings"}))
    sys.exit(1)
invocations = 0
while True:
    api.request("GET", BASE + "/invocation/next")
    reply = api.getresponse()
    event = json.loads(reply.read())
    invocations += 1
    path = "/invocation/" + reply.headers["Lambda-Runtime-Aws-Request-Id"]
    print("got", json.dumps(event), flush=True)
    if "print" in event:
        print(event["print"], flush=True)
    time.sleep(event.get("sleep", 0))
    if "exit" in event:
        sys.exit(event["exit"])
    if "error" in event:
        post(path + "/error", json.dumps({"errorType": "Handler", "errorMessage": event["error"]}))
        continue
    answer = {"pid": os.getpid(), "invocations": invocations, "echo": event, "environment": dict(os.environ)}
    if "assume" in event:
        import boto3
        session = boto3.client("sts").assume_role(**event["assume"])["Credentials"]
        sts = boto3.client(
            "sts",
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )
        answer["identity"] = sts.get_caller_identity()["Arn"]
    if "chunked" in event:
        parts = json.dumps(answer).encode()
        post(path + "/response", iter([parts[:10], parts[10:]]), encode_chunked=True,
             headers={"Transfer-Encoding": "chunked"})
    else:
        post(path + "/response", json.dumps(answer))
'''
)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, BOOTSTRAP)
    return buffer.getvalue()


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more) -> dict:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def trust(principal, action="sts:AssumeRole", **more) -> dict:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}
