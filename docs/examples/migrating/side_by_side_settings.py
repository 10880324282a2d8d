"""The project's settings while both serve sockets: still those of Channels."""

from .before_settings import *  # noqa: F403

ROOT_URLCONF = "migrating.side_by_side_views"
