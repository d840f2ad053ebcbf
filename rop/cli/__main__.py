"""``python -m rop.cli``: the command `rop`."""

import sys

from rop.cli import main

sys.exit(main())
