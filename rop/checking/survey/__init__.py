"""A survey: the checker over a catalogue of functions of PyTorch, JAX or a file, in every mode."""

from rop.checking.survey.entries import Entry
from rop.checking.survey.results import Outcome, Survey, worse
from rop.checking.survey.run import survey

__all__ = ["Entry", "Outcome", "Survey", "survey", "worse"]
