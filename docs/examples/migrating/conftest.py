"""What the tests before and after share: Django's settings, and a database."""

import os
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

# One process runs both, and these serve both.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "migrating.side_by_side_settings")


@pytest.fixture
def database(tmp_path: Path) -> None:
    connection.close()
    connection.settings_dict["NAME"] = str(tmp_path / "chat.sqlite3")
    call_command("migrate", run_syncdb=True, verbosity=0)
    connection.close()
