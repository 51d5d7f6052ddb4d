"""Parallel first calls of a service.

LocalStack is held where it has noted that a service's operations are there and has not entered them yet.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from localstack.aws.app import LocalstackAwsGateway
from localstack.aws.forwarder import create_aws_request_context
from localstack.config import HostAndPort
from localstack.http import Response
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.utils import bootstrap

from localstack_remediation import listener, routes

WAIT_SECONDS = 20
UNKNOWN = (501, "no handler for operation 'CreateScheduleGroup' on service 'scheduler'")


@pytest.fixture
def gateway(monkeypatch):
    monkeypatch.setenv("SERVICES", "scheduler")
    for cached in (bootstrap.get_preloaded_services, bootstrap.get_enabled_apis):
        cached.cache_clear()
    yield LocalstackAwsGateway(SERVICE_PLUGINS)
    monkeypatch.undo()
    for cached in (bootstrap.get_preloaded_services, bootstrap.get_enabled_apis):
        cached.cache_clear()


def create_group(gateway, name: str) -> tuple[int, str]:
    context = create_aws_request_context("scheduler", "CreateScheduleGroup", {"Name": name})
    response = Response()
    gateway.process(context.request, response)
    return response.status_code, (response.json or {}).get("message", "")


def two_first_calls(gateway, monkeypatch) -> tuple[tuple[int, str], tuple[int, str]]:
    """The second comes while the first one enters the operations, if it has to, and is answered before it goes on."""
    is_there, may_go_on = threading.Event(), threading.Event()
    router = gateway.service_request_router
    enter = router.add_skeleton

    def held(skeleton) -> None:
        is_there.set()
        assert may_go_on.wait(WAIT_SECONDS)
        enter(skeleton)

    monkeypatch.setattr(router, "add_skeleton", held)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(create_group, gateway, f"{id(gateway)}-1")
        first.add_done_callback(lambda _: is_there.set())
        assert is_there.wait(WAIT_SECONDS)
        second = create_group(gateway, f"{id(gateway)}-2")
        may_go_on.set()
        return first.result(WAIT_SECONDS), second


def test_localstack_answers_one_of_two_first_calls_that_it_knows_no_such_operation(gateway, monkeypatch):
    """Where this fails, LocalStack has mended it, and the module `routes` can go."""
    assert two_first_calls(gateway, monkeypatch) == ((200, ""), UNKNOWN)


def test_with_all_operations_entered_both_are_answered(gateway, monkeypatch):
    routes.enter_all(gateway)
    assert two_first_calls(gateway, monkeypatch) == ((200, ""), (200, ""))


def test_they_are_entered_before_a_port_opens(gateway, monkeypatch):
    opened = []

    class Reactor:
        def listenTCP(self, port, _site, interface):
            opened.append((interface, port, len(gateway.service_request_router.handlers)))

        def getThreadPool(self):
            return None

    monkeypatch.setattr(listener, "reactor", Reactor())
    listener.ListenerOfOneHost().register(gateway, [HostAndPort("127.0.0.1", 4566)])
    operations = SERVICE_PLUGINS.require("scheduler").skeleton.dispatch_table
    assert opened == [("127.0.0.1", 4566, len(operations))]


def test_a_service_that_cannot_be_loaded_is_not_passed_over(gateway, monkeypatch):
    monkeypatch.setattr(SERVICE_PLUGINS, "require", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        routes.enter_all(gateway)
