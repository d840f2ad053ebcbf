"""Findings of a study as files: pictures, slides, tables and text."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rop.experiments.registry import Findings, Row, Study
from rop.experiments.watching import Watch


def save_findings(findings: Findings, folder: Path, command: str) -> list[Path]:
    """Write each picture as PNG, each table as CSV, all tables as JSON, and the text.

    Parameters
    ----------
    findings : Findings
        The findings.
    folder : Path
        Where to; made if it does not exist.
    command : str
        The command that made them, which the JSON names beside the version.

    Returns
    -------
    list of Path
        The files.
    """
    from rop.show.pictures.figures import save

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.png" for name in findings.pictures]
    for file, picture in zip(files, findings.pictures.values(), strict=True):
        save(picture, file)
    files += [_write(folder / f"{name}.csv", rows) for name, rows in findings.tables.items()]
    files.append(folder / "numbers.json")
    made = {"rop": version("rop"), "command": command}
    numbers = {"made by": made, "text": findings.text, **findings.tables}
    files[-1].write_text(json.dumps(numbers, indent=1, ensure_ascii=False), encoding="utf-8")
    return files


def save_slides(findings: Findings, folder: Path, study: Study, *, dark: bool) -> list[Path]:
    """Turn the pictures into slides, and write each as PNG and SVG.

    Parameters
    ----------
    findings : Findings
        The findings; their pictures are changed.
    folder : Path
        Where to; made if it does not exist.
    study : Study
        The study, whose summary is the caption.
    dark : bool
        Whether they are for a dark background.

    Returns
    -------
    list of Path
        The files.
    """
    from rop.show.pictures.figures import save
    from rop.show.pictures.slides import DPI, slide

    folder.mkdir(parents=True, exist_ok=True)
    source = f"rop {version('rop')}, MIT licence: rop figure {study.name}"
    files = []
    for name, picture in findings.pictures.items():
        slide(picture, study.summary, source, dark=dark)
        for suffix in ("png", "svg"):
            files.append(folder / f"{name}-slide.{suffix}")
            save(picture, files[-1], DPI)
    return files


def save_rows(watch: Watch, folder: Path) -> Path:
    """Write what the runs of an interrupted study have done so far, as CSV.

    Parameters
    ----------
    watch : Watch
        The runs.
    folder : Path
        Where to; made if it does not exist.

    Returns
    -------
    Path
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _write(folder / "interrupted.csv", watch.rows())


def _write(path: Path, rows: Sequence[Row]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, dict.fromkeys(key for row in rows for key in row))
        writer.writeheader()
        writer.writerows(rows)
    return path
