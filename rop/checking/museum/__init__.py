"""A museum of mistakes that people made in second-order code, each caught by a check of rop.

>>> from rop import museum
>>> for exhibit in museum.EXHIBITS:
...     print(exhibit.name, "-", exhibit.source)
>>> print(museum.exhibit("algorithm 5 as printed"))  # what is wrong, the code, and the report
"""

from rop.checking.museum import libraries, paper, peers, solvers, teaching, training
from rop.checking.museum.exhibit import Exhibit, Exhibits, caught
from rop.errors import RopValueError

EXHIBITS = Exhibits(
    (
        *paper.EXHIBITS,
        *peers.EXHIBITS,
        *libraries.EXHIBITS,
        *solvers.EXHIBITS,
        *training.EXHIBITS,
        *teaching.EXHIBITS,
    )
)
"""All exhibits: print them to see their names; print one to see what is wrong, the code, and the
report that catches it.
"""


def exhibit(name: str) -> Exhibit:
    """The exhibit of that name; raises RopValueError, with the names, if there is none.

    >>> found = rop.museum.exhibit("algorithm 4 as printed")
    >>> found.check, len(rop.museum.EXHIBITS) > 30
    ('hvp', True)
    """
    for one in EXHIBITS:
        if one.name == name:
            return one
    known = "; ".join(one.name for one in EXHIBITS)
    raise RopValueError(f"name: there is no exhibit {name!r}; there are: {known}")


__all__ = ["EXHIBITS", "Exhibit", "caught", "exhibit"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
