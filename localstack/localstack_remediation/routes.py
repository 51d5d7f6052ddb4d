"""The gateway's table of operations, complete before its port opens.

LocalStack enters a service's operations when the service's first request comes, eager loading or not, and before that
it notes that they are there. A request that comes in between takes its word for it and finds none: 501 "no handler for
operation 'CreateScheduleGroup' on service 'scheduler'".
"""

from localstack.aws.api import RequestContext
from localstack.aws.handlers.service_plugin import ServiceLoader
from localstack.aws.spec import load_service
from localstack.http import Request
from localstack.utils.bootstrap import get_preloaded_services
from rolo.gateway import Gateway


def enter_all(gateway: Gateway) -> None:
    """Those of the services in SERVICES; no other is let in (STRICT_SERVICE_LOADING).

    Raises what keeps one from being loaded.
    """
    for handler in gateway.request_handlers:
        if isinstance(handler, ServiceLoader):
            for service in sorted(get_preloaded_services()):
                context = RequestContext(Request())
                context.service = load_service(service)
                handler.require_service(None, context, None)
