"""S3's own error codes: the HTTP status and the message that they come with.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
"""

from dataclasses import dataclass, field
from xml.etree import ElementTree


@dataclass(frozen=True)
class Known:
    status: int
    message: str


KNOWN = {
    "AccessDenied": Known(403, "Access Denied"),
    "BucketAlreadyExists": Known(409, "The requested bucket name is not available."),
    "ConditionalRequestConflict": Known(
        409, "The conditional request cannot succeed due to a conflicting operation against this resource."
    ),
    "ExpiredToken": Known(400, "The provided token has expired."),
    "InternalError": Known(500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": Known(403, "The AWS Access Key Id you provided does not exist in our records."),
    "InvalidAccessPointAliasError": Known(400, "The specified access point alias name is not valid."),
    "MethodNotAllowed": Known(405, "The specified method is not allowed against this resource."),
    "NoSuchBucket": Known(404, "The specified bucket does not exist"),
    "NoSuchKey": Known(404, "The specified key does not exist."),
    "NotImplemented": Known(501, "A header you provided implies functionality that is not implemented."),
    "OperationAborted": Known(
        409,
        "A conflicting conditional operation is currently in progress against this resource. Please try again.",
    ),
    "PreconditionFailed": Known(412, "At least one of the preconditions that you specified did not hold."),
    "RequestTimeTooSkewed": Known(
        403, "The difference between the request time and the server's time is too large."
    ),
    "RequestTimeout": Known(
        400, "Your socket connection to the server was not read from or written to within the timeout period."
    ),
    "ServiceUnavailable": Known(503, "Service is unable to handle request."),
    "SignatureDoesNotMatch": Known(
        403, "The request signature we calculated does not match the signature you provided."
    ),
    "SlowDown": Known(503, "Please reduce your request rate."),
}


@dataclass(frozen=True)
class Refusal:
    """An answer of S3's front, which does not come from any bucket."""

    status: int
    code: str
    message: str
    details: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> bytes:
        root = ElementTree.Element("Error")
        elements = {"Code": self.code, "Message": self.message, **self.details, "RequestId": request_id}
        for name, text in elements.items():
            ElementTree.SubElement(root, name).text = text
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)


def refusal(code: str, **details: str) -> Refusal:
    return Refusal(KNOWN[code].status, code, KNOWN[code].message, details)
