"""The form in which a service says a code: its HTTP status, and how each says that a caller is too fast.

The serializers of LocalStack give it the shape of the protocol. A status that the service's own model has goes before
all others: TooManyRequestsException is 429 from Lambda and 400 from Organizations.
"""

from botocore.model import ServiceModel
from localstack.aws.api import CommonServiceException

from .moto_services import aws_error

THROTTLE = "Throttle"  # in a test's fault: whatever code this service has for it

STATUS = {
    "AuthFailure": 401, "InvalidClientTokenId": 403, "OptInRequired": 403,
    "InternalError": 500, "InternalFailure": 500, "InternalServerError": 500, "InternalServiceError": 500,
    "RequestLimitExceeded": 503, "ServiceUnavailable": 503, "SlowDown": 503, "Unavailable": 503,
}
TOO_MANY = ("ThrottlingException", "TooManyRequestsException")  # 429 where HTTP itself is the protocol

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html: RequestLimitExceeded, 503
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: SlowDown, 503
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html: RequestThrottled
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html: TooManyRequestsException, 429
THROTTLES_OF_SERVICES = {
    "ec2": ("RequestLimitExceeded", "Request limit exceeded."),
    "lambda": ("TooManyRequestsException", "Rate Exceeded."),
    "organizations": ("TooManyRequestsException", "Rate exceeded"),
    "s3": ("SlowDown", "Please reduce your request rate."),
    "s3control": ("SlowDown", "Please reduce your request rate."),
    "sqs": ("RequestThrottled", "Request is throttled."),
}
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/CommonErrors.html has ThrottlingException, and Throttling is
# what services of the query protocol say: https://github.com/cloud-custodian/cloud-custodian/issues/3340
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html: ThrottlingException, 400
THROTTLES_OF_PROTOCOLS = {"query": "Throttling"}


def error(service: ServiceModel, code: str) -> CommonServiceException:
    message = f"A fault that a test asked for: {code}."
    if code == THROTTLE:
        code, message = THROTTLES_OF_SERVICES.get(service.service_name) or (
            THROTTLES_OF_PROTOCOLS.get(service.protocol, "ThrottlingException"), "Rate exceeded",
        )
    return aws_error(code, message, status_of(service, code))


def status_of(service: ServiceModel, code: str) -> int:
    shape = service.shape_for_error_code(code)
    modeled = shape.metadata.get("error", {}).get("httpStatusCode") if shape else None
    if modeled:
        return modeled
    if code == "UnrecognizedClientException":
        return 403 if service.protocol == "rest-json" else 400
    if code in TOO_MANY:
        return 429 if service.protocol == "rest-json" else 400
    return STATUS.get(code, 400)
