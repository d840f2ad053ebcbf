"""The state of a run in a file, with the header of the run and a checksum."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from rop.datasets.npz import read_npz
from rop.errors import RopValueError
from rop.hf.log import FORMAT, Header
from rop.hf.optimizer import Ended, State
from rop.hf.storage import decode, encode

_LARGEST = 2**40


@dataclass(frozen=True)
class Saved:
    """A state as it is kept: with the end of the run, if it came to one, and its header."""

    state: State
    ended: Ended | None
    header: Header

    def write(self, file: BinaryIO) -> None:
        """Write it as an .npz file of its vectors and a text with all the rest."""
        values = {f.name: getattr(self.state, f.name) for f in fields(self.state)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        others = {name: encode(value) for name, value in values.items() if name not in arrays}
        rest = {"state": others, "ended": self.ended, "header": encode(self.header)}
        rest["sha256"] = _digest(arrays, rest)
        text = json.dumps(rest, allow_nan=False)
        np.savez(file, allow_pickle=False, rest=np.array(text), **arrays)

    @classmethod
    def read(cls, path: Path) -> Saved:
        """Read it; raises RopValueError if the file is not as it was written."""
        arrays = read_npz(path, _LARGEST)
        try:
            rest = json.loads(str(arrays.pop("rest")))
            if rest.pop("sha256") != _digest(arrays, rest):
                raise ValueError("its checksum differs")
            state, header = (
                State(**cast(Any, arrays), **decode(rest["state"])),
                decode(rest["header"]),
            )
            if not isinstance(header, Header) or header.format != FORMAT:
                raise ValueError(f"its format is not {FORMAT}, that of this version")
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise RopValueError(
                f"{path} is damaged, or is no state of a run of rop.hf: {said}"
            ) from None
        return cls(state, rest["ended"], header)


def _digest(arrays: dict[str, Any], rest: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
