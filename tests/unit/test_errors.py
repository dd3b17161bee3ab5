"""The error tree."""

from __future__ import annotations

import pickle

import pytest

from opspawn_jupyter import errors

ALL = list(errors.tree())


@pytest.mark.parametrize("error", ALL)
def test_each_error_explains_itself_in_its_docstring(error: type[errors.OpspawnError]) -> None:
    """The docstring is what people read in the cell."""
    assert error.__doc__ is not None
    assert error.__doc__ not in {base.__doc__ for base in error.__bases__}
    assert str(error("value")).endswith("'value'.")


def test_codes_are_unique() -> None:
    """The client finds the class by its code."""
    codes = [error.code for error in ALL]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", ALL)
def test_an_error_comes_through_the_wire_as_itself(error: type[errors.OpspawnError]) -> None:
    """The error raised in the server is the error seen in the cell."""
    raised = error("x", hint="do this", detail={"a": 1})

    restored = errors.restore(raised.code, raised.message, raised.detail)

    assert type(restored) is error
    assert (str(restored), restored.detail) == (str(raised), raised.detail)


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    """A drawing that lies is worse than none."""
    for error in ALL:
        assert error.__name__ in (errors.__doc__ or "")


def test_an_error_survives_pickling() -> None:
    """Runner processes hand errors to their worker."""
    error = errors.TaskNotFound("x")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
