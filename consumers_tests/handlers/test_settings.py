"""The settings of a class or route: their names, and the values that they may have."""

import pytest

from consumers import ConfigurationError, Limits
from consumers.handlers.settings import SETTINGS, check_settings
from consumers_tests.typed import making, told

NAMES = "'text', 'bytes', 'json', 'msgpack', 'event'"


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("auto_accept", 1, "auto_accept must be True or False, got 1"),
        (
            "value_type",
            dict,
            (
                "value_type must be the name of a message type, or None, got "
                "<class 'dict'>"
            ),
        ),
        ("value_type", "xml", f"a message type must be one of {NAMES}, got 'xml'"),
        ("send_type", "JSON", f"a message type must be one of {NAMES}, got 'JSON'"),
        (
            "caught_close_codes",
            [1000],
            (
                "caught_close_codes must be a tuple of close codes, the built-in all, "
                "or None for 1000, 1001 and 1005, got [1000]"
            ),
        ),
        ("concurrency", 0, "concurrency must be a positive whole number, got 0"),
        ("concurrency", True, "concurrency must be a positive whole number, got True"),
        (
            "finish_timeout",
            0,
            "finish_timeout must be a positive number of seconds, got 0",
        ),
        (
            "finish_timeout",
            None,
            "finish_timeout must be a positive number of seconds, got None",
        ),
        ("refusals", "json", "refusals must be 'http' or 'close', got 'json'"),
        (
            "limits",
            {},
            (
                "limits must be an instance of Limits, or None for the application's, "
                "got {}"
            ),
        ),
    ],
)
def test_a_setting_has_a_value_that_works(
    setting: str, value: object, expected: str
) -> None:
    """The error names the class, the setting and what it may be."""
    assert told(**{setting: value}) == f"Chat: {expected}"


def test_every_setting_has_values_that_work() -> None:
    """Each may be set in a class, and all are known by name."""
    values = {
        "auto_accept": False,
        "receive_type": "json",
        "send_type": "bytes",
        "caught_close_codes": all,
        "concurrency": 2,
        "finish_timeout": 0.5,
        "refusals": "close",
        "limits": Limits(inbox=1),
        "positions": False,
        "origins": ["https://shop.example"],
        "allow": len,
        "sends": int | str,
    }

    assert making(**values)
    assert making(value_type="event", caught_close_codes=(1000, 4000))
    assert {*values, "value_type"} == set(SETTINGS)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("auto_acept", "; did you mean 'auto_accept'?"),
        ("value_types", "; did you mean 'value_type'?"),
        ("zzz", ""),
    ],
)
def test_a_setting_is_one_of_those_that_there_are(name: str, hint: str) -> None:
    """A route's unknown keyword is refused, with the nearest known one."""
    with pytest.raises(ConfigurationError) as caught:
        check_settings("route '/x'", {name: True})

    assert str(caught.value) == (
        f"route '/x': a setting must be one of {', '.join(SETTINGS)}, got "
        f"{name!r}{hint}"
    )
