"""What the chat stores."""

from django.db import models


class Line(models.Model):
    """Something that was said."""

    room = models.CharField(max_length=50)
    name = models.CharField(max_length=150)
    text = models.TextField()
