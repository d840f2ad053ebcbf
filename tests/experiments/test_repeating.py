"""Studies from several seeds, and beside the numbers of an earlier run."""

import json

import pytest

import rop
from rop.cli import main
from rop.errors import RopFileError
from rop.experiments.registry import Findings
from rop.experiments.repeating import compared, repeated


def findings(seed):
    rows = [{"run": "G", "f": 1.0 + seed, "updates": 20}, {"run": "H", "f": 10.0 - seed**2}]
    curve = [{"step": k, "q": float(k * seed)} for k in range(seed + 2)]
    return Findings({"runs": rows, "curve": curve}, {"picture": seed}, f"seed {seed}")


def test_medians_and_ranges_over_seeds():
    found = repeated(findings, [0, 1, 2])
    first, second = found.tables["runs"]
    assert first == {
        "run": "G",
        **{"f": 2.0, "f (least)": 1.0, "f (most)": 3.0},
        **{"updates": 20, "updates (least)": 20, "updates (most)": 20},
    }
    assert (second["f"], second["f (least)"], second["f (most)"]) == (9.0, 6.0, 10.0)
    # Curves of different lengths, and pictures, are those of the first seed.
    assert found.tables["curve"] == findings(0).tables["curve"]
    assert found.pictures == {"picture": 0}
    assert "over 3 seeds, 0 to 2" in found.text
    assert "G: f 2 (1 to 3), updates 20 (20 to 20)" in found.text


def test_a_target_that_some_seeds_do_not_reach_is_not_dropped():
    def reached(*works):
        rows = [{"method": name, "work": work} for name, work in zip("ABC", works, strict=True)]
        return Findings({"runs": rows}, {}, "")

    found = [reached(1.0, 5.0, None), reached(2.0, None, None), reached(None, None, None)]
    result = repeated(lambda seed: found[seed], [0, 1, 2])
    a, b, c = result.tables["runs"]
    least_most = {"work (least)": 1.0, "work (most)": 2.0}
    assert a == {"method": "A", "work": 2.0, **least_most, "work (missing)": 1}
    assert b == {"method": "B", "work": None, "work (missing)": 2}
    assert c == {"method": "C", "work": None}
    assert "A: work 2 (1 to 2, none from 1 seed)" in result.text
    assert "B: work - (none from 2 seeds)" in result.text


def test_numbers_beside_those_of_an_earlier_run(tmp_path):
    file = tmp_path / "numbers.json"
    file.write_text(json.dumps({"text": "", **repeated(findings, [0, 1, 2]).tables}))
    assert compared(findings(1).tables, file).startswith("0 of 3 numbers differ")
    said = compared(findings(4).tables, file)
    assert said.startswith("2 of 3 numbers differ")
    assert "G, f: 2 (1 to 3) then, 5 now" in said
    file.write_text(json.dumps(findings(1).tables))
    assert compared(findings(1).tables, file).startswith("0 of")
    assert "G, f: 2 then, 2.5 (2 to 3) now" in compared(repeated(findings, [1, 2]).tables, file)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"runs": [{"run": "another"}]}'])
def test_files_of_something_else_are_refused(tmp_path, text):
    file = tmp_path / "numbers.json"
    file.write_text(text)
    with pytest.raises(rop.RopValueError, match=r"numbers\.json: (expected|it has no table)"):
        compared(findings(0).tables, file)
    with pytest.raises(RopFileError, match=r"missing\.json: No such file"):
        compared(findings(0).tables, tmp_path / "missing.json")


def test_on_the_command_line(tmp_path, capsys):
    command = ["figure", "5", "--repeat", "2", "--out", str(tmp_path)]
    assert main(command) == 0
    assert "over 2 seeds, 0 to 1" in capsys.readouterr().out
    assert main([*command, "--against", str(tmp_path / "numbers.json")]) == 0
    out = capsys.readouterr().out
    assert f"numbers differ from those of {tmp_path / 'numbers.json'}" in out
    assert "\n0 of " in out
