"""spec/conformance.md: its rows, and whether the tests that they name ran and passed."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "spec" / "conformance.md"
_TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")


@frozen
class Row:
    """One statement; tests: node ids that prove it; missing: what is not proved yet, "" if nothing."""

    id: str
    who: str
    level: str
    statement: str
    section: str
    tests: tuple[str, ...]
    missing: str


def rows() -> Iterator[Row]:
    """The rows of all tables, in order: id, who, level, statement, section, proof."""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not re.fullmatch(r"\|? ?[LFM]\d\d?", cells[0]):
            continue
        name, who, level, statement, section, proof = cells
        missing = proof.partition("not yet")[2].lstrip(": ") if "not yet" in proof else ""
        if "not yet" in proof and not missing:
            missing = "all of it"
        yield Row(name.lstrip("| "), who, level, statement, section, tuple(_TEST.findall(proof)), missing)


class Watch:
    """A pytest plugin: after a run of the whole suite, every test that conformance.md names has passed."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._passed: set[str] = set()
        self._not_passed: set[str] = set()
        self._unproved: list[str] = []
        self._whole = not (
            config.option.keyword or config.option.markexpr or config.args_source.name == "ARGS"
        )

    def pytest_deselected(self) -> None:
        """Tests were left out: this is no whole run."""
        self._whole = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of each test function, whatever its parameters."""
        name = report.nodeid.partition("[")[0]
        if report.failed or report.skipped:
            self._not_passed.add(name)
        elif report.when == "call":
            self._passed.add(name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a whole run that passed all it ran but not all that conformance.md names."""
        if not self._whole or exitstatus != pytest.ExitCode.OK or self._config.option.collectonly:
            return
        named = {test: row.id for row in rows() for test in row.tests}
        for test, row in sorted(named.items()):
            if test not in self._passed or test in self._not_passed:
                self._unproved.append(f"{row}: {test} did not pass")
        if self._unproved and os.environ.get("CI") == "true":
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which statements this run did not prove."""
        if self._unproved:
            terminalreporter.section("spec/conformance.md names tests that did not run or were skipped")
            for line in self._unproved:
                terminalreporter.line(line)
