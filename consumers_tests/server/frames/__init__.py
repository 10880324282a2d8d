"""The frame engine: tables of single cases, and streams against another engine."""
