from datetime import UTC, datetime

import pytest

from localstack_remediation.scheduler.expression import first_firing, next_firing


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2025-01-03T11:01:30")  # a Friday


@pytest.mark.parametrize(
    ("expression", "timezone", "expected"),
    [
        ("rate(5 minutes)", "UTC", "2025-01-03T11:01:30"),
        ("cron(0/5 * * * ? *)", "UTC", "2025-01-03T11:05:00"),
        ("cron(0 10 ? * MON-FRI *)", "UTC", "2025-01-06T10:00:00"),
        ("cron(0 10 ? * 1 *)", "UTC", "2025-01-05T10:00:00"),
        ("cron(0 10 ? * 2-6 *)", "UTC", "2025-01-06T10:00:00"),
        ("cron(30 13 * * ? *)", "Europe/Berlin", "2025-01-03T12:30:00"),
        ("cron(0 10 1 3 ? 2026)", "UTC", "2026-03-01T10:00:00"),
        ("at(2025-01-03T13:00:00)", "Europe/Berlin", "2025-01-03T12:00:00"),
    ],
)
def test_first_firing(expression, timezone, expected):
    assert first_firing(expression, NOW, timezone) == pytest.approx(at(expected), abs=0.01)


def test_what_is_over_never_fires():
    assert first_firing("at(2025-01-03T11:00:00)", NOW) is None
    assert first_firing("cron(0 10 1 3 ? 2020)", NOW) is None


def test_a_start_date_delays():
    assert first_firing("rate(1 hour)", NOW, start=NOW + 7) == NOW + 7
    assert first_firing("rate(1 hour)", NOW, start=NOW - 7) == NOW
    later = first_firing("cron(0/5 * * * ? *)", NOW, start=NOW + 300)
    assert later == pytest.approx(at("2025-01-03T11:10:00"), abs=0.01)


@pytest.mark.parametrize(
    ("expression", "speed", "seconds"),
    [("rate(1 minute)", 1, 60), ("rate(2 hours)", 1, 7200), ("rate(1 day)", 1, 86400), ("rate(1 minute)", 60, 1)],
)
def test_rates(expression, speed, seconds):
    assert next_firing(expression, NOW, NOW, speed=speed) == NOW + seconds


def test_missed_firings_are_left_out_and_the_rhythm_stays():
    assert next_firing("rate(1 minute)", NOW, NOW + 150) == NOW + 180
    assert next_firing("rate(1 minute)", NOW, NOW + 120) == NOW + 180


def test_the_firing_after():
    last = at("2025-01-03T11:05:00")
    assert next_firing("cron(0/5 * * * ? *)", last, last) == pytest.approx(last + 300, abs=0.01)
    assert next_firing("at(2025-01-03T11:05:00)", last, last) is None


@pytest.mark.parametrize("expression", ["every minute", "rate(1 fortnight)", "cron(0 10 ? * 2#1 *)", "cron(* *)"])
def test_what_is_not_understood(expression):
    with pytest.raises(ValueError):
        first_firing(expression, NOW)
