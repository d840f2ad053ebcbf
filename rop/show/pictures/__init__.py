"""The parts of `rop.draw` and `rop.plot`: figures without pyplot, layouts, painting.

Only `figures` and `painting` import matplotlib; they are imported when a picture is made.
"""
