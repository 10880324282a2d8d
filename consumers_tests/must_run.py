"""In CI a skipped test is a failure, unless the test is marked `may_skip`."""

import pytest


class NoSilentSkips:
    """A pytest plugin that fails the run when something that must run did not.

    Looks at the reports of the process that prints them, so it sees those of
    pytest-xdist's workers too. An expected failure did run, and is not counted.
    """

    def __init__(self) -> None:
        self.not_run: dict[str, str] = {}  # {test: reason}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped before or while it ran."""
        if "may_skip" not in report.keywords and not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that was skipped as a whole."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped:
            # (file, line, reason) where pytest knows the place
            where = report.longrepr
            self.not_run[report.nodeid] = str(
                where[2] if isinstance(where, tuple) else where
            )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make the run fail; a worker leaves that to the process it reports to."""
        if self.not_run and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Print which tests did not run, and why."""
        if self.not_run:
            terminalreporter.section("skipped, which CI does not accept", red=True)
            for test, reason in sorted(self.not_run.items()):
                terminalreporter.line(f"{test}: {reason}")
