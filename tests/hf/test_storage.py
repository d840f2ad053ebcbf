"""Recipes and records as JSON: equal after a round trip, whatever they contain."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rop.errors import RopTypeError, RopValueError
from rop.hf import LevenbergMarquardt, Recipe, Tikhonov, minimize, recipes
from rop.hf.storage import decode, encode


def through_json(value):
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


@pytest.mark.parametrize("make", recipes.MAKERS.values(), ids=recipes.MAKERS)
def test_every_named_recipe_comes_back_equal(make):
    recipe = make()
    assert through_json(recipe) == recipe
    assert encode(through_json(recipe)) == encode(recipe)


def test_a_recipe_of_infinite_bounds_comes_back():
    recipe = Recipe(damping=Tikhonov(0.1, LevenbergMarquardt(highest=math.inf)))
    assert through_json(recipe) == recipe


def test_every_record_of_a_run_comes_back_equal(problem):
    records = minimize(*problem, recipes.martens2010(lam=1.0), engine="numpy").records
    assert len(records) > 10
    assert [through_json(it) for it in records] == records


scalars = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner).map(tuple)
        | st.dictionaries(st.text().filter(lambda key: key != "class"), inner)
    ),
)


@pytest.mark.ci
@given(trees)
def test_any_tree_of_plain_values_comes_back_the_same(tree):
    assert through_json(tree) == tree
    assert repr(through_json(tree)) == repr(tree)  # also the sign of zero, and 1 or 1.0 or True


def test_what_is_not_a_number_comes_back_as_that():
    assert math.isnan(through_json(math.nan))
    assert through_json((math.inf, -math.inf)) == (math.inf, -math.inf)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_arrays_come_back_with_dtype_shape_and_bits(dtype):
    array = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    back = through_json({"a": array})["a"]
    assert back.dtype == array.dtype and back.flags.writeable
    np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(through_json(array.T), array.T)


def test_numbers_of_numpy_become_numbers():
    assert repr(through_json((np.float32(0.1), np.int64(3)))) == repr((float(np.float32(0.1)), 3))


@dataclass(frozen=True)
class Foreign:
    """Not a class of rop.hf."""

    lam: float


@pytest.mark.parametrize("value", [Foreign(1.0), abs, object(), [1.0], {1: 2}])
def test_other_things_are_refused_with_their_place(problem, value):
    recipe = replace(Recipe(), decay=0.5)
    object.__setattr__(recipe, "damping", value)
    with pytest.raises(RopTypeError, match=rf"value\.damping.*{type(value).__name__}"):
        encode(recipe)


def test_only_classes_of_hf_are_made_from_a_file():
    for name in ("Popen", "Foreign", "os.system", "Objective"):
        with pytest.raises(RopValueError, match=name):
            decode({"class": name, "args": ["true"]})


def test_fields_that_this_version_does_not_know_are_named():
    with pytest.raises(RopValueError, match="Tikhonov.*temperature"):
        decode({"class": "Tikhonov", "lam": 1.0, "temperature": 2.0})
