"""When a schedule expression is due: rate(), cron() and at(), in seconds since the epoch."""

import math
import re
from datetime import datetime
from zoneinfo import ZoneInfo

from crontab import CronTab

UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
DAY_NAMES = {str(number): name for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), start=1)}


def first_firing(expression: str, now: float, timezone: str = "UTC", start: float | None = None) -> float | None:
    """The first firing at or after `now` (and `start`). A rate without a start fires at once, as on AWS."""
    if _rate_seconds(expression):
        return now if start is None or start <= now else start
    return _calendar_firing(expression, max(now, start or now), timezone)


def next_firing(expression: str, last: float, now: float, timezone: str = "UTC", speed: float = 1) -> float | None:
    """The firing after `last`. Firings that passed meanwhile (a suspended machine) are left out, not made up for."""
    if interval := _rate_seconds(expression):
        interval /= speed
        return last + interval * max(1, math.floor((now - last) / interval) + 1)
    if expression.startswith("at("):
        return None
    return _calendar_firing(expression, max(last, now), timezone)


def _rate_seconds(expression: str) -> int | None:
    found = re.fullmatch(r"rate\(\s*(\d+)\s+(minute|hour|day)s?\s*\)", expression)
    return int(found[1]) * UNIT_SECONDS[found[2]] if found else None


def _calendar_firing(expression: str, now: float, timezone: str) -> float | None:
    zone = ZoneInfo(timezone)
    if found := re.fullmatch(r"at\((.+)\)", expression):
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=zone).timestamp()
        return moment if moment >= now else None
    if found := re.fullmatch(r"cron\((.+)\)", expression):
        wait = CronTab(_as_crontab(found[1])).next(now=datetime.fromtimestamp(now, zone), default_utc=True)
        return None if wait is None else now + wait
    raise ValueError(f"not a schedule expression: {expression}")


def _as_crontab(fields: str) -> str:
    """AWS counts days of the week from 1 = Sunday, and writes `?` for "any"."""
    minute, hour, day, month, weekday, year = fields.replace("?", "*").split()
    weekday = re.sub(r"(?<![#/\w])[1-7]", lambda number: DAY_NAMES[number[0]], weekday)
    return " ".join((minute, hour, day, month, weekday, year))
