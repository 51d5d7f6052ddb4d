"""Requests that are signed, and followed nowhere: boto3 follows S3's redirects by itself."""

import http.client
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def send(
    emulator, account: str, region: str, method: str, path: str, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers by their names in lower case, body)"""
    request = AWSRequest(method, emulator.url + path, data=body)
    S3SigV4Auth(Credentials(account, "secret"), "s3", region).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=30)
    connection.request(method, path, body, dict(request.headers))
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
