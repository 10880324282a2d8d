"""Views that announce something in a room, and log out, by the groups."""

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.urls import path

from .after_groups import Said, groups, room_group
from .project.views import log_in


def log_out(request: HttpRequest) -> HttpResponse:
    session = request.session.session_key
    logout(request)  # first: who connects from now on is nobody
    if session:
        groups.sync.disconnect(session=session)
    return HttpResponse(status=204)


def announce(request: HttpRequest, room: str) -> HttpResponse:
    groups.sync.publish(room_group(room), Said("system", request.POST["text"]))
    return HttpResponse(status=204)


urlpatterns = [
    path("log-in/<name>", log_in),
    path("log-out", log_out),
    path("announce/<room>", announce),
]
