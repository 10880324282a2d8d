"""A view that announces something in a room, by the groups."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from .after_groups import Said, groups, room_group
from .project.views import log_in


def announce(request: HttpRequest, room: str) -> HttpResponse:
    groups.sync.publish(room_group(room), Said("system", request.POST["text"]))
    return HttpResponse(status=204)


urlpatterns = [path("log-in/<name>", log_in), path("announce/<room>", announce)]
