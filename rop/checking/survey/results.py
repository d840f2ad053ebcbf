"""What a survey found, as a file that the next one continues or is compared with."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rop.errors import RopValueError

Result = Literal["pass", "fail", "inconclusive", "unavailable", "error", "time", "crash"]
Key = tuple[str, str, str, str]

BROKEN = ("fail", "error", "time", "crash")


@dataclass(frozen=True)
class Outcome:
    """One function in one mode and dtype.

    Attributes
    ----------
    library, theme, function, mode, dtype : str
    verdict : str
        "pass", "fail", "inconclusive"; "unavailable" where the library says that it has no such
        derivative, "error" where it raises anything else; "time" and "crash" of the process.
    product : str
        Argument name of the worst product, such as "hvp".
    error : float or None
        Its relative error, as far as known.
    seconds : float
    says : str
        The report's line on it, or the exception.
    """

    library: str
    theme: str
    function: str
    mode: str
    dtype: str
    verdict: Result
    product: str = ""
    error: float | None = None
    seconds: float = 0.0
    says: str = ""

    @property
    def key(self) -> Key:
        """What is the same in another survey."""
        return self.library, self.function, self.mode, self.dtype


@dataclass
class Survey:
    """The outcomes so far, and the versions they hold for.

    Attributes
    ----------
    versions : dict
        Name -> version, of the libraries, Python and rop.
    outcomes : dict
        Key -> `Outcome`.
    """

    versions: dict[str, str] = field(default_factory=dict)
    outcomes: dict[Key, Outcome] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Note an outcome."""
        self.outcomes[outcome.key] = outcome

    @property
    def counts(self) -> Mapping[str, int]:
        """Verdict -> how many there are."""
        return Counter(outcome.verdict for outcome in self.outcomes.values())

    @property
    def exit_code(self) -> int:
        """1 if a function fails, 2 if one is neither right nor unavailable, else 0."""
        if self.counts["fail"]:
            return 1
        known = self.counts["pass"] + self.counts["unavailable"]
        return 0 if self.outcomes and known == len(self.outcomes) else 2

    def guilty(self, outcome: Outcome) -> bool:
        """Whether it fails where another mode has the same product of the same function right."""
        return outcome.verdict == "fail" and any(
            other.verdict == "pass" and other.product == outcome.product
            for other in self.outcomes.values()
            if other.mode != outcome.mode
            and (other.library, other.function, other.dtype)
            == (outcome.library, outcome.function, outcome.dtype)
        )

    def save(self, path: Path) -> None:
        """Write it, so that a reader finds the old file or the new one and nothing between."""
        part = path.with_name(path.name + ".part")
        rows = [asdict(outcome) for outcome in self.outcomes.values()]
        text = json.dumps({"versions": self.versions, "outcomes": rows}, indent=1)
        part.write_text(text + "\n", encoding="utf-8")
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path) -> Survey:
        """Read one that was saved.

        Raises
        ------
        RopValueError
            If the file holds none.
        """
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            outcomes = [Outcome(**row) for row in stored["outcomes"]]
            return cls(dict(stored["versions"]), {outcome.key: outcome for outcome in outcomes})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RopValueError(f"{path} holds no survey: {error}") from None


def worse(now: Survey, before: Survey) -> list[tuple[Outcome, Outcome]]:
    """What got worse: pairs of before and now.

    Only what both surveys hold is compared. What passed must pass; what was unavailable or
    inconclusive must not have broken.
    """
    pairs = [
        (before.outcomes[key], outcome)
        for key, outcome in now.outcomes.items()
        if key in before.outcomes
    ]
    return [
        (old, new)
        for old, new in pairs
        if (old.verdict == "pass" and new.verdict != "pass")
        or (old.verdict not in BROKEN and new.verdict in BROKEN)
    ]
