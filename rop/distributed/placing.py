"""Which worker has which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def placed(parts: int, workers: Sequence[str], before: Mapping[int, str]) -> dict[int, str]:
    """Share parts out among workers, and move as few of them as that needs.

    Neighbours in the tree of the sum lie together at first, so that a worker sums them by itself.

    Parameters
    ----------
    parts : int
        The number of parts.
    workers : sequence of str
        The workers' addresses.
    before : mapping of int to str
        Where the parts were, or nothing.

    Returns
    -------
    dict of int to str
        A worker for each part; the workers' numbers of parts differ by 1 at most.
    """
    if not set(before.values()) & set(workers):
        return {part: workers[part * len(workers) // parts] for part in range(parts)}
    few, more = divmod(parts, len(workers))
    held: dict[str, list[int]] = {worker: [] for worker in workers}
    spare: list[int] = []
    for part in range(parts):
        worker = before.get(part, "")
        (held[worker] if worker in held else spare).append(part)
    # Who has most keeps one more, where the parts cannot be shared out evenly.
    for rank, worker in enumerate(sorted(workers, key=lambda w: -len(held[w]))):
        most = few + (rank < more)
        spare += held[worker][most:]
        del held[worker][most:]
    for rank, worker in enumerate(sorted(workers, key=lambda w: -len(held[w]))):
        most = few + (rank < more)
        while len(held[worker]) < most:
            held[worker].append(spare.pop(0))
    return {part: worker for worker, mine in held.items() for part in sorted(mine)}
