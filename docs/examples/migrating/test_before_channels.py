"""A test of the chat with Channels."""

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth import get_user_model

from migrating.before_channels import sockets


def communicator(name: str) -> WebsocketCommunicator:
    communicator = WebsocketCommunicator(sockets, "/ws/chat/tea")
    communicator.scope["user"] = get_user_model()(username=name)
    return communicator


@pytest.mark.asyncio
@pytest.mark.usefixtures("database")
async def test_what_is_said_reaches_everybody() -> None:
    ada, bob = communicator("ada"), communicator("bob")
    assert await ada.connect() == (True, None)
    assert await bob.connect() == (True, None)

    await ada.send_json_to({"type": "say", "text": "hello"})
    said = {"type": "said", "name": "ada", "text": "hello"}
    assert await ada.receive_json_from() == said
    assert await bob.receive_json_from() == said
    assert await bob.receive_nothing()

    await ada.disconnect()
    await bob.disconnect()
