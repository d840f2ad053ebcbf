"""What shows a program, a graph or a run: listings, drawings, plots, and what notebooks show."""

import rop.show.notebook  # noqa: F401  (registers itself with `rop.support.display`)
