"""What goes over the wire: one class per message, told apart by its ``type``."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=500, pattern=r"\S")]
Key = Annotated[str, Meta(min_length=22, max_length=22)]


# From a client.


class Ask(Struct, tag="ask"):
    """Answered by a stream of `Token`."""

    prompt: Text


class Begin(Struct, tag="begin"):
    """Begins an answer that is kept. Answered by `Begun`."""

    prompt: Text


class Stop(Struct, tag="stop"):
    """Ends a kept answer where it is."""

    key: Key


class HangUp(Struct, tag="hang_up"):
    """Asks the server to break the connection, to see what becomes of the answers."""


# To clients: what answers.


class Begun(Struct, tag="begun"):
    key: Key
    """Who has it may read and stop the answer."""


# To clients: what is published, and kept, of one answer, in this order.


class Prompt(Struct, tag="prompt"):
    """What was asked."""

    text: str


class Token(Struct, tag="token"):
    """A piece of an answer, some letters long."""

    number: int
    """0 for the first one."""
    text: str


class End(Struct, tag="end"):
    """Nothing comes any more."""

    how: Literal["finished", "stopped"]


# To clients: what the server is busy with.


class Work(Struct, tag="work"):
    writing: int
    """How many answers the model writes in this process at the moment."""
