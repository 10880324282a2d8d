"""Metrics and traces, for those who collect them; each by an extra of its own.

``consumers.metrics.prometheus`` needs ``anyio-consumers[prometheus]``, and
``consumers.metrics.otel`` needs ``anyio-consumers[opentelemetry]``. Both call things by
the names in ``outcomes``.
"""
