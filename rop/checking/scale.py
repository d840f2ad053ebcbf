"""Warnings about θ's scale, which sec. 7.2 wants such that units neither idle nor saturate."""

from rop.checking.compare import TINY_WEIGHTS
from rop.checking.findings import SYMBOLS
from rop.checking.lines import root_mean_square
from rop.checking.policy import PASSING
from rop.checking.session import Session

# A product this much smaller than at θ/10 or θ/100 says that the units are saturated.
SATURATED = 1e-3


def weigh(session: Session) -> list[str]:
    """What θ, and the dtypes, leave unseen.

    Parameters
    ----------
    session : Session
        After it has run.

    Returns
    -------
    list of str
    """
    warnings = []
    theta = session.points[0].theta
    size = root_mean_square(theta)
    if size < TINY_WEIGHTS:
        warnings.append(
            f"theta is tiny (rms {size:.1e}): if these are weights, the units are linear there, "
            "and a wrong second derivative hides; check at a random theta of the scale you train "
            "at (sec. 7.2)"
        )
    for name, sizes in session.sizes.items():
        if 0 < sizes.whole < SATURATED * sizes.reference and name in ("jvp", "ggnvp", "loss_hvp"):
            warnings.append(
                f"{SYMBOLS[name]} is {sizes.whole / sizes.reference:.0e} of what it is at a "
                "smaller theta: units or outputs are saturated and their rules hide (sec. 7.2)"
            )
    zero = [
        SYMBOLS[name]
        for name, sizes in session.sizes.items()
        if sizes.reference == 0 and session.products[name].verdict == "pass"
    ]
    if zero and session.recorded is None:
        they = "is zero wherever it was" if len(zero) == 1 else "are zero wherever they were"
        warnings.append(f"{', '.join(zero)} {they} evaluated, and rightly so")
    for name, product in session.products.items():
        hidden = [block for block, part in product.blocks.items() if part.verdict == "inconclusive"]
        if hidden and product.verdict == "pass":
            warnings.append(
                f"{SYMBOLS[name]}: block {', '.join(hidden)} is too small beside the rounding "
                "noise to be judged by itself"
            )
    for precision, digits in PASSING.items():
        coarse = [name for name, f in session.functions.items() if f.precision == precision]
        if coarse and precision != "float64":
            warnings.append(
                f"{', '.join(name + '=' for name in coarse)} in {precision}: an error of "
                f"{100 * digits:g} % passes; check the rules in float64"
            )
    return warnings
