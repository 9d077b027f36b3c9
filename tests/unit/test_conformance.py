"""spec/conformance.md: every statement is there, its tests exist, and they notice a rule switched off."""

import ast
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import conformance
import pytest
from attrs import frozen

ROOT = conformance.ROOT
IDS = [*(f"L{n}" for n in range(1, 11)), *(f"{p}{n:02}" for p in "FM" for n in range(1, 49))]
ROWS = {row.id: row for row in conformance.rows()}


@cache
def functions_of(file: str) -> frozenset[str]:
    """The names of the test functions in a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_statement_is_there_once() -> None:
    """L1-L10, F01-F48 and M01-M48, each once and in order."""
    assert [row.id for row in conformance.rows()] == IDS


@pytest.mark.parametrize("name", IDS)
def test_row(name: str) -> None:
    """A statement has its section, level and words, and a test that exists or "not yet"."""
    row = ROWS[name]
    assert row.section[0].isdigit() or row.section.startswith("B.")
    assert row.level in {"M", "m", "S", "O", "D"}
    assert len(row.statement) > 10
    assert row.tests or row.missing
    for test in row.tests:
        file, _, function = test.partition("::")
        assert function in functions_of(file), test


@frozen
class Off:
    """A rule switched off: in `file`, `rule` (found once) becomes `broken`; `test` of `row` must fail."""

    row: str
    file: str
    rule: str
    broken: str
    test: str


_BUS = "lies/bus"
_FMIP, _MIP = "consumers/lies_fmipv6", "consumers/lies_mipv6"
SWITCHED_OFF = [
    Off(
        "L3",
        f"{_BUS}/_delivery.py",
        "in self.wanting(event.primitive, link):\n            if not",
        "in [r for k in self._wanted for r in self._wanted[k]]:\n            if not",
        "test_bus_core.py::test_only_what_was_registered",
    ),
    Off(
        "L3",
        f"{_BUS}/_requests.py",
        "            delivery.disable(registration)\n",
        "            pass\n",
        "test_bus_core.py::test_disable_stops",
    ),
    Off(
        "L6",
        f"{_BUS}/_registration.py",
        "level < limit <= previous",
        "level < limit",
        "test_bus_core.py::test_status_changed_event_type_and_threshold",
    ),
    Off(
        "L7",
        f"{_BUS}/_requests.py",
        "        check_parameters(request)\n",
        "",
        "test_bus_core.py::test_requests_that_contradict_themselves",
    ),
    Off(
        "L8",
        "lies/abstract/_entity.py",
        "out.append(LinkUp(self._stamp(item.t_ns), item.poa, memory.network, memory.frequency_mhz))",
        "pass",
        "test_abstract_entity.py::test_attach_and_detach",
    ),
    Off(
        "F04",
        f"{_FMIP}/neighbourhood.py",
        "PrRtAdv(code, identifier, self._c.lla, plain)",
        "PrRtAdv(code, 0, self._c.lla, plain)",
        "test_fmipv6_engine_router.py::test_proxy_router_advertisement",
    ),
    Off(
        "F06",
        f"{_FMIP}/discovery.py",
        "return self._sent[0] + 1.0 if len(self._sent) == self._p.max_rtsolpr_rate else 0.0",
        "return 0.0",
        "test_fmipv6_engine_discovery.py::test_rtsolpr_retransmission_and_rate",
    ),
    Off(
        "F20",
        f"{_FMIP}/previous_router.py",
        "if not (item.authenticated or self._c.unproven):",
        "if False:",
        "test_fmipv6_engine_router.py::test_unauthenticated_messages",
    ),
    Off(
        "F20",
        f"{_FMIP}/previous_router.py",
        "last = self._last.get(owner) if owner is not None else",
        "last = None if owner is not None else",
        "test_fmipv6_engine_security.py::test_a_replayed_fbu_is_refused_for_good",
    ),
    Off(
        "F20",
        f"{_FMIP}/access_router.py",
        "self._own.get(pcoa) or self._new.assigned_to(pcoa)",
        "next(reversed(self._c.keys))",
        "test_fmipv6_engine_security.py::test_an_fbu_for_another_nodes_address_is_refused",
    ),
    Off(
        "F20",
        f"{_FMIP}/parameters.py",
        'an FBack without a valid BADF is believed."""\n        return self.insecure and not self.keys',
        'an FBack without a valid BADF is believed."""\n        return self.insecure',
        "test_fmipv6_engine_security.py::test_an_fback_without_badf_is_no_fback_where_keys_are",
    ),
    Off(
        "F24",
        f"{_FMIP}/departure.py",
        "m.p.fbu_lifetime_s, h.link.lla)",
        "m.p.fbu_lifetime_s, m.here.lla)",
        "test_fmipv6_vertical.py::test_the_new_router_is_told_the_address_that_it_will_see",
    ),
    Off(
        "F21",
        f"{_FMIP}/previous_router.py",
        "if neighbour is None or not self._c.trusts(neighbour) or self._c.has(ncoa):",
        "if neighbour is None:",
        "test_fmipv6_engine_router.py::test_ncoa_must_be_of_a_fast_neighbour",
    ),
    Off(
        "F21",
        f"{_FMIP}/new_router.py",
        "pcoa is None or pcoa not in par.prefix or",
        "pcoa is None or",
        "test_fmipv6_engine_guests.py::test_no_host_route_for_what_is_not_the_pars",
    ),
    Off(
        "F23",
        f"{_FMIP}/previous_router.py",
        "code=HICode.FROM_PCOA if predictive else HICode.NOT_FROM_PCOA",
        "code=HICode.FROM_PCOA",
        "test_fmipv6_engine_router.py::test_reactive_binding",
    ),
    Off(
        "F27",
        f"{_FMIP}/new_router.py",
        "return HandoverAcknowledge(hi.sequence, HAckCode.NCOA_VALID)",
        "return HandoverAcknowledge(hi.sequence + 1, HAckCode.NCOA_VALID)",
        "test_fmipv6_engine_nar.py::test_expected_and_admitted",
    ),
    Off(
        "F28",
        f"{_FMIP}/new_router.py",
        "if node is None and self._c.dad_transmits > 0:",
        "if False:",
        "test_fmipv6_engine_guests.py::test_an_ncoa_is_probed_before_it_is_defended",
    ),
    Off(
        "F30",
        f"{_FMIP}/departure.py",
        "            h.ncoa = supplied\n",
        "",
        "test_fmipv6_engine_mobile.py::test_supplied_ncoa_is_used",
    ),
    Off(
        "F36",
        f"{_FMIP}/exchange.py",
        "retries=self._p.fbu_retries",
        "retries=self._p.fbu_retries + 1",
        "test_fmipv6_engine_mobile.py::test_fbu_retransmission",
    ),
    Off(
        "F38",
        f"{_FMIP}/new_router.py",
        "item.source != una.target or ",
        "",
        "test_fmipv6_engine_nar.py::test_una_that_is_none",
    ),
    Off(
        "F40",
        f"{_FMIP}/new_router.py",
        "return [self._impose(una)]",
        "return []",
        "test_fmipv6_engine_guests.py::test_a_una_for_a_taken_address_is_answered_with_another",
    ),
    Off(
        "F41",
        f"{_FMIP}/imposed.py",
        "if item.destination != m.coa or not item.source.is_link_local or not self._arrival.listens(now):",
        "if False:",
        "test_fmipv6_engine_imposed.py::test_naack_that_is_none",
    ),
    Off(
        "F42",
        f"{_FMIP}/pacing.py",
        "may_go = queue.tokens >= 1 - _EPSILON and queue.tokens_at <= now",
        "may_go = True",
        "test_fmipv6_pacing.py::test_five_go_at_once_then_the_metered_rate_and_a_quarter",
    ),
    Off(
        "F43",
        f"{_FMIP}/previous_router.py",
        "        return [HoldNode(binding.pcoa)]\n",
        "        return []\n",
        "test_fmipv6_engine_buffering.py::test_what_comes_between_fbu_and_tunnel_is_not_lost",
    ),
    Off(
        "F46",
        f"{_FMIP}/previous_router.py",
        "min(fbu.lifetime_s, self._p.max_fbu_lifetime_s)",
        "fbu.lifetime_s",
        "test_fmipv6_engine_router.py::test_lifetime_is_bounded",
    ),
    Off(
        "F48",
        f"{_FMIP}/new_router.py",
        "self._c.insecure and not (neighbour is not None and neighbour.protected)",
        "self._c.insecure",
        "test_fmipv6_engine_security.py::test_a_protected_neighbour_is_believed_through_esp_only",
    ),
    Off(
        "M16",
        f"{_MIP}/home_agent.py",
        "if binding is not None and not newer(update.sequence, binding.sequence):",
        "if False:",
        "test_mipv6_engine_agent.py::test_sequence_out_of_window",
    ),
    Off(
        "M24",
        f"{_MIP}/home_agent.py",
        "if old is not None and self._c.grace_s <= 0:",
        "if False:",
        "test_mipv6_engine_agent.py::test_strict_agent",
    ),
    Off(
        "M28",
        f"{_MIP}/home_agent.py",
        "if not (item.authenticated or self._c.insecure):",
        "if False:",
        "test_mipv6_engine_agent.py::test_unauthenticated",
    ),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the named test says with each rule switched off, by its place in the table."""
    folder = tmp_path_factory.mktemp("off")
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda k: _outcome(SWITCHED_OFF[k], folder / str(k)), range(len(SWITCHED_OFF)))
        return dict(zip(map(str, range(len(SWITCHED_OFF))), results, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SWITCHED_OFF)), ids=lambda k: SWITCHED_OFF[k].row)
def test_a_rule_switched_off_is_noticed(outcomes: dict[str, str], number: int) -> None:
    """With the rule switched off in a copy of the code, its test fails by an assertion and not otherwise."""
    off = SWITCHED_OFF[number]
    said = outcomes[str(number)]
    assert f"tests/unit/{off.test}" in ROWS[off.row].tests
    assert f"FAILED tests/unit/{off.test}" in said, said
    assert "ImportError" not in said
    assert "SyntaxError" not in said


def _outcome(off: Off, folder: Path) -> str:
    """Copy the code, switch the rule off, and run its test there."""
    for name in ("lies", "drivers", "consumers", "tests", "spec"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "netns"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    path = folder / off.file
    text = path.read_text(encoding="utf-8")
    assert text.count(off.rule) == 1, f"{off.file} has not one {off.rule!r}"
    path.write_text(text.replace(off.rule, off.broken), encoding="utf-8")
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-rfE", "--no-header", "--tb=line"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"tests/unit/{off.test}"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(folder / p) for p in (".", "drivers", "consumers")),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
