"""Whose groups a connection uses, with an `App` and without one."""

from typing import Any

from consumers import App, Groups
from consumers.groups import STATE_KEY
from consumers.runtime.application import APP_KEY, groups_of


def test_the_app_s_groups_come_first() -> None:
    """A connection through an `App` uses the groups of that."""
    app, other = App(), Groups()
    scope: dict[str, Any] = {APP_KEY: app, "state": {STATE_KEY: other}}

    assert groups_of(scope) is app.groups


def test_without_an_app_those_of_the_lifespan_count() -> None:
    """`groups.lifespan` of another framework leaves them in the state."""
    groups = Groups()

    assert groups_of({"state": {STATE_KEY: groups}}) is groups


def test_with_neither_all_share_those_of_the_process() -> None:
    """Classes that stand alone can publish to each other."""
    assert groups_of({}) is groups_of({"state": None}) is groups_of({"state": {}})
