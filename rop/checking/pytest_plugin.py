"""pytest: the fixture `rop_check`, the marker `rop`, and reports as failure texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rop.checking.report import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --rop-seed and --rop-strict."""
    group = parser.getgroup("rop")
    group.addoption("--rop-seed", type=int, default=0, help="seed of rop_check's directions")
    group.addoption(
        "--rop-strict", action="store_true", help="let rop_check fail where it is inconclusive"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "rop(seed=0, strict=False): options of the fixture rop_check for one test"
    )


@pytest.fixture
def rop_check(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Check an objective, or functions, and fail the test with the report if they are wrong.

    Called like `rop.check` if the first argument is an objective, else like `rop.check_products`;
    the seed comes from the marker or from --rop-seed. An inconclusive check is an expected failure,
    or with ``strict`` a failure.

    Returns
    -------
    callable
        Returns the `Report` of a check that passed.
    """
    seed, strict = request.config.getoption("--rop-seed"), request.config.getoption("--rop-strict")
    marker = request.node.get_closest_marker("rop")
    if marker is not None:
        unknown = ", ".join(map(str, [*marker.args, *(marker.kwargs.keys() - {"seed", "strict"})]))
        if unknown:
            pytest.fail(f"pytest.mark.rop takes seed= and strict=, not {unknown}", pytrace=False)
        seed, strict = marker.kwargs.get("seed", seed), marker.kwargs.get("strict", strict)

    def run(*arguments: Any, **settings: Any) -> Report:
        from rop.checking import check, check_products
        from rop.objective.objective import Objective

        of_objective = bool(arguments) and isinstance(arguments[0], Objective)
        settings.setdefault("seed", seed)
        report = (check if of_objective else check_products)(*arguments, **settings)
        text = f"{report}\nAgain: pytest --rop-seed={settings['seed']} '{request.node.nodeid}'"
        if report.verdict == "fail" or (strict and not report.ok):
            pytest.fail(text, pytrace=False)
        if not report.ok:
            pytest.xfail(text)
        return report

    return run
