"""The project's settings with Channels."""

import os

from .project.settings import *  # noqa: F403
from .project.settings import INSTALLED_APPS

INSTALLED_APPS = ["channels", *INSTALLED_APPS]
ROOT_URLCONF = "migrating.before_views"
ASGI_APPLICATION = "migrating.before_channels.application"

if "REDIS_URL" in os.environ:
    LAYER = {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
    }
else:
    LAYER = {"BACKEND": "channels.layers.InMemoryChannelLayer"}
CHANNEL_LAYERS = {"default": LAYER}
