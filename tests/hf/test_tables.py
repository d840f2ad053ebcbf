"""Records as flat tables."""

import csv
import io
from dataclasses import replace

import pytest

from rop.hf import columns, minimize, table


@pytest.fixture
def records(problem):
    return minimize(*problem, iterations=5, engine="numpy").records


def test_a_row_for_each_iteration_of_plain_cells(records):
    rows = table(records)
    assert len(rows) == 5
    for row, it in zip(rows, records, strict=True):
        assert row["number"] == it.number
        assert (row["f_before"], row["f_after"], row["rho"]) == (it.f_before, it.f_after, it.rho)
        assert (row["cg.steps"], row["cg.reason"]) == (it.cg.steps, it.cg.reason)
        assert (row["cg.q.length"], row["cg.q.last"]) == (len(it.cg.q), it.cg.q[-1])
        assert row["step.alpha"] == it.step.alpha
        assert row["seconds.cg"] == it.seconds["cg"]
        assert row["work.products"] == it.work.products
        assert row["cases.curvature.size"] == it.cases.curvature.size
        assert row["f_curvature.last"] == it.f_curvature[1]
        assert all(isinstance(cell, int | float | str | None) for cell in row.values())


def test_what_is_not_finite_is_a_float(records):
    rows = table([replace(records[0], rho=float("-inf"))])
    assert rows[0]["rho"] == float("-inf")


def test_columns_are_as_long_as_the_run(records):
    found = columns(records)
    assert {len(column) for column in found.values()} == {5}
    assert found["f_after"] == [it.f_after for it in records]
    assert columns([]) == {} and table([]) == []


def test_a_row_without_a_cell_has_none_in_its_column(records):
    found = columns([records[0], replace(records[1], events=("λ is at its bound",))])
    assert found["events.length"] == [0, 1]
    assert found["events.last"] == [None, "λ is at its bound"]


def test_tables_go_into_csv(records):
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(records))
    writer.writeheader()
    writer.writerows(table(records))
    back = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [float(row["lam_after"]) for row in back] == [it.lam_after for it in records]
