"""While both have members, what is announced goes to both."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from . import after_views, before_views
from .project.views import log_in


def announce(request: HttpRequest, room: str) -> HttpResponse:
    before_views.announce(request, room)
    return after_views.announce(request, room)


urlpatterns = [path("log-in/<name>", log_in), path("announce/<room>", announce)]
