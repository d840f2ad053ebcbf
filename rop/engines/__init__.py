"""Engines: each runs the steps of a program, and none has a derivative rule of its own."""
