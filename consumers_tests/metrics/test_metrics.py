"""Metrics and traces whose packages are missing."""

import importlib
import sys

import pytest

from consumers import ConfigurationError


@pytest.mark.parametrize(
    ("module", "needs", "extra"),
    [
        ("prometheus", "prometheus_client", "prometheus"),
        ("otel", "opentelemetry", "opentelemetry"),
    ],
)
def test_a_missing_package_names_its_extra(
    module: str, needs: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever imports it is told what to install."""
    monkeypatch.setitem(sys.modules, needs, None)
    monkeypatch.delitem(sys.modules, f"consumers.metrics.{module}", raising=False)

    with pytest.raises(ConfigurationError, match=rf"\[{extra}\]"):
        importlib.import_module(f"consumers.metrics.{module}")
