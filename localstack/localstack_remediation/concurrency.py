"""Lambda's limit of concurrent executions: an account's, of which some stay unreserved. LocalStack has one for all.

What is throttled is counted in CloudWatch, of the function and of all functions together:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html

A new account has 10, and keeps all of them: 100 stay unreserved, or all where there are fewer.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html; the number in the message:
https://github.com/awslabs/fhir-works-on-aws-deployment/issues/691
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from localstack.aws.api.lambda_ import InvalidParameterValueException, TooManyRequestsException
from localstack.aws.connect import connect_to
from localstack.runtime import hooks
from localstack.services.lambda_.invocation.counting_service import CountingService
from localstack.services.lambda_.provider import LambdaProvider
from localstack.utils.patch import patch

from . import settings

KEPT = 100
_is_checked: ContextVar[bool] = ContextVar("is_checked", default=False)


@hooks.on_infra_start()
def limit_lambda_concurrency() -> None:
    patch(LambdaProvider.get_account_settings)(_settings)
    patch(LambdaProvider.put_function_concurrency)(_reserve)
    patch(CountingService.get_invocation_lease)(_lease)


def _settings(fn, self, context, **more) -> dict:
    answer = fn(self, context, **more)
    limit = answer["AccountLimit"]
    reserved = limit["ConcurrentExecutions"] - limit["UnreservedConcurrentExecutions"]
    most = settings.of(context.account_id).lambda_concurrency
    left = KEPT + most if _is_checked.get() else most - reserved
    return {**answer, "AccountLimit": {**limit, "ConcurrentExecutions": most, "UnreservedConcurrentExecutions": left}}


def _reserve(fn, self, context, function_name: str, reserved_concurrent_executions: int, **more):
    most = settings.of(context.account_id).lambda_concurrency
    kept = min(KEPT, most)
    present = self.get_function_concurrency(context, function_name).get("ReservedConcurrentExecutions") or 0
    left = self.get_account_settings(context)["AccountLimit"]["UnreservedConcurrentExecutions"]
    if left + present - reserved_concurrent_executions < kept:
        raise InvalidParameterValueException(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{kept}].",
            Type="User",
        )
    token = _is_checked.set(True)  # LocalStack checks against limits of its own
    try:
        return fn(self, context, function_name, reserved_concurrent_executions, **more)
    finally:
        _is_checked.reset(token)


@contextmanager
def _lease(fn, self, function, function_version) -> Iterator[str]:
    with ExitStack() as lease:
        try:
            kind = lease.enter_context(fn(self, function, function_version))
        except TooManyRequestsException:
            _count_throttle(function_version.id)
            raise
        yield kind


def _count_throttle(version) -> None:
    cloudwatch = connect_to(region_name=version.region, aws_access_key_id=version.account).cloudwatch
    of_all = {"MetricName": "Throttles", "Unit": "Count", "Value": 1}
    of_function = {**of_all, "Dimensions": [{"Name": "FunctionName", "Value": version.function_name}]}
    cloudwatch.put_metric_data(Namespace="AWS/Lambda", MetricData=[of_all, of_function])
