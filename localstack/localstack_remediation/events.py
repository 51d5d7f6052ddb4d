"""What EventBridge makes of an input template, and which events it takes. LocalStack is kinder in both.

A template is JSON, or lines of strings. In JSON, a variable outside of quotes is a value of JSON, and one between quotes is put
there as it is, not escaped; what is then no JSON is not delivered. In lines, each keeps its quotes, in SNS as well.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html

An entry of PutEvents has less than 256 KB.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html

`anything-but` matches what an event has, and not what it lacks; LocalStack takes the latter for a match, or breaks at it.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-anything-but
"""

import json
import logging

from localstack.runtime import hooks
from localstack.services.events import provider, target
from localstack.services.events.event_rule_engine import EventRuleEngine
from localstack.services.events.models import ValidationException
from localstack.services.events.utils import event_time_to_time_string, is_nested_in_string, to_json_str
from localstack.utils.patch import patch

LOG = logging.getLogger(__name__)
MOST_BYTES = 256 * 1024
MOST_VARIABLES = 100
MOST_OF_TEMPLATE = 8192
BYTES_OF_TIME = 14


class Lines(str):
    """What a template of lines has become: it is sent as it is, and not as a string of JSON."""


def fill(template: str, values: dict, is_json_template: bool):
    """None where nothing can be delivered."""

    def value_of(match) -> str:
        value = values.get(match.group(1), "")
        if hasattr(value, "isoformat"):
            value = event_time_to_time_string(value)
        if isinstance(value, str):
            return value if not is_json_template or is_nested_in_string(template, match) else json.dumps(value)
        return to_json_str(value)

    filled = target.TRANSFORMER_PLACEHOLDER_PATTERN.sub(value_of, template)
    if not is_json_template:
        return Lines(filled)
    try:
        return json.loads(filled)
    except ValueError as error:
        LOG.warning("nothing is delivered: the filled template is no JSON: %s: %s", error, filled)
        return None


def entry_size(entry: dict) -> int:
    texts = [entry.get("Source"), entry.get("DetailType"), entry.get("Detail"), *(entry.get("Resources") or [])]
    return sum(len((text or "").encode()) for text in texts) + (BYTES_OF_TIME if entry.get("Time") else 0)


@hooks.on_infra_start()
def judge_events() -> None:
    target.replace_template_placeholders = fill
    patch(target.SnsTargetSender.send_event)(_publish)
    patch(target.TargetSender._validate_input_transformer)(_judge_transformer)
    patch(provider.EventsProvider._process_entries)(_judge_entries)
    patch(EventRuleEngine._evaluate_condition)(_judge_condition)


def _publish(fn, self, event, trace_header):
    if isinstance(event, Lines):
        self.client.publish(TopicArn=self.target["Arn"], Message=str(event))
    else:
        fn(self, event, trace_header)


def _judge_transformer(fn, self, transformer):
    if len(transformer.get("InputPathsMap", {})) > MOST_VARIABLES:
        raise ValidationException(f"An input transformer has at most {MOST_VARIABLES} variables.")
    template = transformer["InputTemplate"]
    if len(template) > MOST_OF_TEMPLATE:
        raise ValidationException(f"An input template has at most {MOST_OF_TEMPLATE} characters.")
    if not template.lstrip().startswith("{"):
        lines = [line.strip() for line in template.splitlines() if line.strip()]
        if not all(len(line) > 1 and line.startswith('"') and line.endswith('"') for line in lines):
            raise ValidationException(f"Invalid InputTemplate for target {self.target_id}: a string is between quotes.")
    fn(self, transformer)


def _judge_entries(fn, self, context, entries):
    if sum(entry_size(entry) for entry in entries) >= MOST_BYTES:
        raise ValidationException("Total size of the entries in the request is over the limit.")
    return fn(self, context, entries)


def _judge_condition(fn, self, value, condition, field_exists: bool) -> bool:
    if isinstance(condition, dict) and "anything-but" in condition and not field_exists:
        return False
    return fn(self, value, condition, field_exists=field_exists)
