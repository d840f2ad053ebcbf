"""What `rop.draw` and `rop.plot` share: figures without pyplot, layouts, and how they are painted.

Only `figures` and `painting` import matplotlib, and nothing imports them before a picture is made.
"""
