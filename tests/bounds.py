"""What the tape machine cannot check by itself: that every row of a table stays in its buffers."""

import numpy as np

from rop.engines.numba import tape


def reach(row) -> list[tuple[int, int, int]]:
    """Buffer, first and last element of the target and the operands that a row touches."""
    kind = row[tape.KIND]
    arrays = {tape.ZERO: 1, tape.COPY: 2, tape.MULTIPLY: 3, tape.GEMM: 3}[kind]
    found = []
    for i in range(arrays):
        low = high = row[tape.OFFSET + i]
        spans = []
        for loop in range(row[tape.OUTER]):
            stride = row[tape.STRIDES + tape.OUTER_LOOPS * i + loop]
            spans.append((row[tape.EXTENTS + loop] - 1) * stride)
        last = row[tape.LAST : tape.LAST + 8]
        if kind == tape.GEMM:
            m, n, k, x_letter, y_letter, x_lead, y_lead, t_lead = last
            rows, columns, lead = {
                0: (m, n, t_lead),
                1: (m, k, x_lead) if x_letter == ord("N") else (k, m, x_lead),
                2: (k, n, y_lead) if y_letter == ord("N") else (n, k, y_lead),
            }[i]
            assert lead >= columns
            spans.append((rows - 1) * lead + columns - 1)
        else:
            assert last[5 + i] >= 0, "the innermost loop must walk forwards"
            spans += [(last[0] - 1) * last[1 + i], (last[4] - 1) * last[5 + i]]
        low += sum(min(span, 0) for span in spans)
        high += sum(max(span, 0) for span in spans)
        found.append((row[tape.BUFFER + i], low, high))
    return found


def check(table, lengths: list[int]) -> None:
    """Raise AssertionError if a row leaves its buffers."""
    for s, row in enumerate(np.asarray(table)):
        for buffer, low, high in reach(row):
            assert 0 <= low and high < lengths[buffer], (
                f"row {s}: elements {low} to {high} of buffer {buffer}, which has {lengths[buffer]}"
            )
