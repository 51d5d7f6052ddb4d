"""Event notifications: who caused the event, and how often and when it is delivered.

"Amazon S3 event notifications are designed to be delivered at least once", and "aren't guaranteed to arrive in the same
order that the events occurred": https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
import threading

from localstack.aws.api import RequestContext
from localstack.services.s3.notifications import (
    BaseNotifier,
    EventBridgeNotifier,
    LambdaNotifier,
    NotificationDispatcher,
    S3EventNotificationContext,
    SnsNotifier,
    SqsNotifier,
)
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header
from moto.iam.models import iam_backends

from .. import settings
from ..iam import sessions, stored

LOCALSTACKS_CONSTANT = "AIDAJDPLRKLG7UEXAMPLE"


def principal_id(context: RequestContext) -> str:
    """`AWS:` and the unique ID: of a role session its role's and its own name, of a user the user's. An account's root has
    the account's number.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable (aws:userid)
    """
    access_key = extract_access_key_id_from_auth_header(context.request.headers)
    session = sessions.find(access_key)
    if session and (role := stored.find_role(session.role_arn)):
        return f"AWS:{role.id}:{session.name}"
    user = iam_backends[context.account_id][context.partition].get_user_from_access_key_id(access_key)
    return f"AWS:{user.id}" if user else f"AWS:{context.account_id}"


class _OfPrincipal(BaseNotifier):
    @staticmethod
    def _get_event_payload(ctx: S3EventNotificationContext, config_id):
        payload = BaseNotifier._get_event_payload(ctx, config_id)
        for record in payload["Records"]:
            if record["userIdentity"]["principalId"] == LOCALSTACKS_CONSTANT:
                record["userIdentity"]["principalId"] = ctx.caller
            if "sequencer" in record["s3"]["object"]:
                record["s3"]["object"]["sequencer"] = _sequencer(ctx)
        return payload


class _ToQueue(_OfPrincipal, SqsNotifier):
    pass


class _ToTopic(_OfPrincipal, SnsNotifier):
    pass


class _ToFunction(_OfPrincipal, LambdaNotifier):
    pass


class _ToEventBridge(EventBridgeNotifier):
    @staticmethod
    def _get_event_payload(ctx: S3EventNotificationContext, config_id=None):
        """https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html (requester: an account, no more)"""
        entry = EventBridgeNotifier._get_event_payload(ctx, config_id)
        detail = json.loads(entry["Detail"]) | {"requester": ctx.account_id}
        if "sequencer" in detail["object"]:
            detail["object"]["sequencer"] = _sequencer(ctx)
        return entry | {"Detail": json.dumps(detail)}


def _sequencer(ctx: S3EventNotificationContext) -> str:
    """Of two events for a key the later one has the greater: all of one length, so by their text, too."""
    return f"{int(ctx.event_time.timestamp() * 1_000_000):018X}"


class Dispatcher(NotificationDispatcher):
    """Delivers each notification as often, and as late, as the bucket's account has set."""

    notifiers = {
        "QueueConfigurations": _ToQueue(),
        "TopicConfigurations": _ToTopic(),
        "LambdaFunctionConfigurations": _ToFunction(),
        "EventBridgeConfiguration": _ToEventBridge(),
    }

    def _submit_notification(self, notifier, ctx: S3EventNotificationContext, config) -> None:
        for seconds in settings.of(ctx.bucket_account_id).s3_event_seconds:
            if seconds <= 0:
                super()._submit_notification(notifier, ctx, config)
                continue
            later = threading.Timer(seconds, super()._submit_notification, (notifier, ctx, config))
            later.daemon = True
            later.start()
