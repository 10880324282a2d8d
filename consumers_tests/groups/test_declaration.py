"""Declarations: patterns, the names that they make, and what a name can't be."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import ConfigurationError
from consumers.groups import Group, GroupName, name_of, session_group, user_group
from consumers.groups.declaration import escape

ROOM = Group("chat.{channel}")
SEAT = Group("hall.{row}.{seat}")

# Short values from a small alphabet find two that make one name sooner.
values = st.text() | st.text(alphabet=".%@{}/\x002E0a-_é", max_size=2)


# -- names ----------------------------------------------------------------------------


def test_a_pattern_makes_names() -> None:
    """Parameters are given by position or by name."""
    assert ROOM("lobby").name == "chat.lobby"
    assert ROOM(channel="lobby") == ROOM("lobby")
    assert SEAT(1, seat=2).name == "hall.1.2"
    assert str(SEAT(1, 2)) == "hall.1.2"
    assert ROOM("lobby").group is ROOM


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a.b", "chat.a%2Eb"),
        ("a b", "chat.a%20b"),
        ("a/b", "chat.a%2Fb"),
        ("%2E", "chat.%252E"),
        ("é", "chat.%C3%A9"),
        ("@user", "chat.%40user"),
        ("", "chat.%"),
        ("\x00", "chat.%00"),
        (7, "chat.7"),
    ],
)
def test_values_are_escaped(value: object, name: str) -> None:
    """What would end a part of the name, or could not stand in it, is escaped."""
    assert ROOM(value).name == name


@given(values, values)
def test_escaping_is_one_to_one(one: str, other: str) -> None:
    """Different values make different names, and equal ones the same."""
    assert (escape(one) == escape(other)) is (one == other)


@given(values)
def test_an_escaped_value_is_one_part_of_a_name(value: str) -> None:
    """Whatever a value holds, it has no separator, is not empty and is plain ASCII."""
    escaped = escape(value)

    assert escaped
    assert set(escaped) <= set(string.ascii_letters + string.digits + "_~-%")


@given(st.tuples(values, values), st.tuples(values, values))
def test_parameters_cannot_run_into_one_another(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    """Two names of one pattern are equal only if each of their values is."""
    try:
        names = SEAT(*one), SEAT(*other)
    except ValueError:
        return  # too long

    assert (names[0] == names[1]) is (one == other)


@given(values, values, values)
def test_a_value_cannot_name_a_group_of_another_pattern(a: str, b: str, c: str) -> None:
    """No value of `chat.{channel}` makes a name of another pattern, or of a user."""
    other = Group("chat.{channel}.private")
    made = {escape(a), escape(b), escape(c)}

    assert not any("." in part or part.startswith("@") for part in made)
    assert ROOM(a[:20]).name != other(b[:20]).name
    assert ROOM(a[:20]).name != user_group(b).name


def test_a_name_is_bounded() -> None:
    """A name of 255 characters is the longest."""
    assert len(ROOM("a" * 250).name) == 255
    with pytest.raises(ValueError, match="at most 255 characters, got 256; limit what"):
        ROOM("a" * 251)
    with pytest.raises(ValueError, match="at most 255 characters, got 605"):
        ROOM("é" * 100)


@pytest.mark.parametrize(
    ("given_values", "named"),
    [((), {}), (("a", "b"), {}), (("a",), {"room": "b"}), ((), {"room": "b"})],
)
def test_values_must_be_those_of_the_pattern(
    given_values: tuple[str, ...], named: dict[str, str]
) -> None:
    """A value too many, too few or of another name is the caller's fault."""
    with pytest.raises(
        TypeError, match=r"group 'chat.\{channel\}' takes \['channel'\]"
    ):
        ROOM(*given_values, **named)


def test_a_value_is_given_once() -> None:
    """By position and by name at once is a mistake, as it is with functions."""
    with pytest.raises(TypeError, match=r"takes \['channel'\]"):
        ROOM("a", channel="b")


def test_separators_may_be_other_characters() -> None:
    """Any character that is escaped in values can stand behind a parameter."""
    assert Group("{a}:{b}/{c}.x")("1:2", "3", "4").name == "1%3A2:3/4.x"
    assert Group("user-{id}")("a-b").name == "user-a-b"
    assert Group("{{{a}}}")("b").name == "{b}"


# -- declarations ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ("chat.{channel", "must have matching braces"),
        ("chat.}", "must have matching braces"),
        ("chat.{}", "parameters must be different names"),
        ("chat.{0}", "parameters must be different names"),
        ("chat.{a.b}", "parameters must be different names"),
        ("chat.{a}.{a}", "parameters must be different names"),
        ("chat.{a!r}", "parameters must be different names"),
        ("chat.{a:>9}", "parameters must be different names"),
        ("chat.{a:.1}", "parameters must be different names"),
        ("", "must be 1-255 visible ASCII characters"),
        ("a b", "must be 1-255 visible ASCII characters"),
        ("é", "must be 1-255 visible ASCII characters"),
        ("a" * 256, "must be 1-255 visible ASCII characters"),
        ("@user.{key}", "and not begin with '@'"),
        ("chat.{a}{b}", "a separator must come after each parameter"),
        ("chat.{a}-{b}", "a separator must come after each parameter"),
        ("chat.{a}_x", "a separator must come after each parameter"),
        ("chat.{a}%", "a separator must come after each parameter"),
    ],
)
def test_a_pattern_must_make_names(pattern: str, match: str) -> None:
    """A pattern that can't make names, or not one to one, is refused when declared."""
    with pytest.raises(ConfigurationError, match=match):
        Group(pattern)


class Said:
    pass


class Left:
    pass


def test_a_group_sends_what_it_declares() -> None:
    """A message of a declared type passes, a subclass too, and others are refused."""

    class Shouted(Said):
        pass

    Group("a").check(object())
    group = Group("chat", sends=Said | Left)
    group.check(Said())
    group.check(Left())
    group.check(Shouted())
    with pytest.raises(TypeError) as caught:
        group.check("hello")

    assert str(caught.value) == (
        "group 'chat' sends Said or Left, got str; add it to sends="
    )


@pytest.mark.parametrize("sends", ["Said", 1, Said | dict[str, int]])
def test_what_a_group_sends_is_a_class(sends: Any) -> None:
    """Only classes can be told apart, one or a union of them."""
    with pytest.raises(ConfigurationError, match="must be a class or a union of class"):
        Group("chat", sends=sends)


# -- targets --------------------------------------------------------------------------


def test_what_names_a_group() -> None:
    """A group's name, a declaration without parameters, and a plain string do."""
    lobby = Group("lobby", presence=True)

    assert name_of(ROOM("a")) == ROOM("a")
    assert name_of(lobby) == GroupName("lobby", lobby)
    assert name_of("lobby").name == "lobby"
    assert not name_of("lobby").group.presence


def test_a_pattern_needs_its_values() -> None:
    """A declaration with parameters does not name a group by itself."""
    with pytest.raises(TypeError, match=r"takes \['channel'\], got \[\]"):
        name_of(ROOM)


@pytest.mark.parametrize("name", ["", "a b", "é", "a" * 256, "@user.42", "a\n"])
def test_some_strings_are_no_names(name: str) -> None:
    """A string that no pattern could make, or that names a user's group, is refused."""
    with pytest.raises(ValueError, match="a group's name must be 1-255 visible ASCII"):
        name_of(name)


@pytest.mark.parametrize("target", [None, 1, b"lobby", Said()])
def test_other_things_are_no_groups(target: Any) -> None:
    """Most likely the arguments are the wrong way round, and the error says so."""
    with pytest.raises(TypeError, match=r"the order is publish\(group, message\)"):
        name_of(target)


@given(values, values)
def test_each_user_has_a_group(one: str, other: str) -> None:
    """Different keys have different groups, of names that nobody else can use."""
    assert (user_group(one).name == user_group(other).name) is (one == other)
    with pytest.raises(ValueError, match="not begin with"):
        name_of(user_group(one).name)


def test_a_session_s_group_does_not_tell_its_name() -> None:
    """What names a session lets in whoever has it; a broker shows groups' names."""
    one, two = session_group("s3cret"), session_group("s3cret2")

    assert one.name != two.name
    assert "s3cret" not in one.name
    assert one.name.startswith("@session.")
