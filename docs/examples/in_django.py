"""Django for HTTP, consumers for sockets, and Django's ORM in both.

Run it: ``consumers run in_django:app``.
"""

import os
import tempfile
from pathlib import Path

import anyio.from_thread
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import close_old_connections, connection, models
from django.http import HttpRequest, JsonResponse
from django.urls import path

from consumers import App, WebSocketConsumer, WebSocketRoute, receives

# A project has all this in its settings.py.
FILE = Path(tempfile.gettempdir()) / f"notes-{os.getpid()}.sqlite3"
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FILE}},
    ROOT_URLCONF=__name__,
)
django = get_asgi_application()


class Note(models.Model):  # type: ignore[misc]  # Django has no types
    text = models.TextField()

    class Meta:  # noqa: D106
        app_label = "notes"


def notes(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"notes": [note.text for note in Note.objects.all()]})


urlpatterns = [path("notes/", notes)]


class Notes(WebSocketConsumer):
    @receives(thread=True)  # the ORM blocks: not on the event loop
    def on_receive(self, message: str) -> None:
        close_old_connections()  # Django does this around requests; here we do
        try:
            Note.objects.create(text=message)
            count = Note.objects.count()
        finally:
            connection.close()
        anyio.from_thread.run(self.send, f"{count} notes")


app = App([WebSocketRoute("/ws/notes", Notes)], http=django)
