"""Answers that do not reach their caller as they were given, although the call was carried out.

The network does that to any call, and no service's documentation names it. What a retry meets then is the service's:
for a conditional write see https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
"""

from collections.abc import Callable

from localstack.aws import handlers
from localstack.aws.api import RequestContext, ServiceException
from localstack.aws.protocol.serializer import create_serializer
from localstack.http import Response
from localstack.runtime import hooks

from .listener import ABORT, HANG_UP

Break = Callable[[RequestContext, Response], None]


@hooks.on_infra_start()
def install_broken_answers() -> None:
    handlers.run_custom_response_handlers.append(_break_what_was_marked)


def mark(context: RequestContext, break_: Break) -> None:
    context.remediation_break = break_


def lose(context: RequestContext, _response: Response) -> None:
    """The connection is reset before a byte of the answer was sent."""
    context.request.environ[ABORT]()


def lose_and_answer(error: ServiceException) -> Break:
    """The caller gets an error instead, as from a server in between."""

    def answer(context: RequestContext, response: Response) -> None:
        wrong = create_serializer(context.service).serialize_error_to_response(
            error, context.operation, context.request.headers, context.request_id
        )
        response.headers.clear()
        response.update_from(wrong)

    return answer


def cut(context: RequestContext, response: Response) -> None:
    """Half of the body arrives, and Content-Length has promised all of it. What has no body is lost."""
    if context.request.method == "HEAD" or response.status_code in (204, 304):
        return lose(context, response)
    body = response.get_data() or b" "
    sent = body[: max(1, len(body) // 2)]
    hang_up = context.request.environ[HANG_UP]

    def half():
        yield sent
        hang_up()

    response.response = half()
    response.headers["Content-Length"] = str(max(len(body), len(sent) + 1))


def _break_what_was_marked(_chain, context: RequestContext, response: Response) -> None:
    if break_ := context.get("remediation_break"):
        break_(context, response)
