"""Alarms of CloudWatch, judged when a test asks: PUT /_remediation/alarms/<account>/<region>.

LocalStack judges an alarm once a period, the first time when it is made, so that a test would wait for minutes. The
answer is each alarm's state by its name: {"one": "OK", "other": "ALARM"}.
"""

import json

from localstack.aws.connect import connect_to
from localstack.http import Response
from localstack.runtime import hooks
from localstack.services.cloudwatch.alarm_scheduler import calculate_alarm_state
from localstack.services.edge import ROUTER

PATH = "/_remediation/alarms/<account>/<region>"


@hooks.on_infra_start()
def serve_remediation_alarms() -> None:
    ROUTER.add(PATH, _judge, methods=["PUT"])


def _judge(_request, account: str, region: str) -> Response:
    cloudwatch = connect_to(region_name=region, aws_access_key_id=account).cloudwatch
    for alarm in _alarms(cloudwatch):
        calculate_alarm_state(alarm["AlarmArn"])
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in _alarms(cloudwatch)}
    return Response(json.dumps(states), 200, mimetype="application/json")


def _alarms(cloudwatch) -> list[dict]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate()
    return [alarm for page in pages for alarm in page["MetricAlarms"]]
