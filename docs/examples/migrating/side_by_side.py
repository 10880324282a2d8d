"""Channels and consumers in one application, while you move from one to the other.

Run it: ``consumers run migrating.side_by_side:app``.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "migrating.side_by_side_settings")

from channels.auth import AuthMiddlewareStack
from starlette.routing import WebSocketRoute as AnyWebSocketRoute

from consumers import App, WebSocketRoute

from .after_channels import Chat
from .after_groups import groups
from .before_channels import django, sockets
from .from_django import authenticate

app = App(
    [
        WebSocketRoute("/v2/chat/{room}", Chat),  # what has moved comes first
        AnyWebSocketRoute("/{path:path}", AuthMiddlewareStack(sockets)),
    ],
    groups=groups,
    authenticate=authenticate,
    http=django,
)
