"""What a refused call says."""

import pytest
from botocore.exceptions import ClientError


def refusal(call, *arguments, **parameters) -> tuple[int, str, str]:
    """(HTTP status, code, message)"""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def code(call, *arguments, **parameters) -> str:
    return refusal(call, *arguments, **parameters)[1]
