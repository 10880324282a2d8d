"""The project's settings with consumers: nothing of the sockets is left in them."""

from .project.settings import *  # noqa: F403

ROOT_URLCONF = "migrating.after_views"
