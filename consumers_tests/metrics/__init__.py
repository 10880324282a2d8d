"""Tests of metrics and traces, with the real exporters."""
