"""What a refused call says."""

import pytest
from botocore.exceptions import ClientError


def refusal(call, *arguments, **parameters) -> tuple[int, str, str]:
    """(HTTP status, code, message without what EC2 puts around that of IAM)"""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    response = caught.value.response
    message = response["Error"]["Message"].removeprefix("You are not authorized to perform this operation. ")
    message = message.partition(" Encoded authorization failure message: ")[0]
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], message


def code(call, *arguments, **parameters) -> str:
    return refusal(call, *arguments, **parameters)[1]
