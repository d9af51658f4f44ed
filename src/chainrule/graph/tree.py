"""Nested dicts, lists and tuples of values: taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.errors import DataError


def flatten(tree: Any) -> list[Any]:
    """The leaves of nested dicts, lists and tuples, in order; dicts in insertion order.

    >>> flatten({"W": 1, "layers": [2, (3,)]})
    [1, 2, 3]
    """
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in flatten(branch)]
    if isinstance(tree, (list, tuple)):
        return [leaf for branch in tree for leaf in flatten(branch)]
    return [] if tree is None else [tree]


def unflatten(like: Any, leaves: Sequence[Any]) -> Any:
    """A tree of the form of ``like`` with other leaves.

    >>> unflatten({"W": 1, "layers": [2, (3,)]}, "abc")
    {'W': 'a', 'layers': ['b', ('c',)]}
    """
    remaining = iter(leaves)
    return _fill(like, remaining.__next__)


def _fill(like: Any, following: Callable[[], Any]) -> Any:
    if isinstance(like, dict):
        return {key: _fill(branch, following) for key, branch in like.items()}
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*[_fill(branch, following) for branch in like])
    if isinstance(like, (list, tuple)):
        return type(like)([_fill(branch, following) for branch in like])
    return None if like is None else following()


def map_tree(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """``function`` applied leaf by leaf to trees of one form.

    Raises
    ------
    DataError
        If the trees differ in form.
    """
    columns = [flatten(tree), *[flatten(match_form(other, tree)) for other in others]]
    return unflatten(tree, [function(*leaves) for leaves in zip(*columns, strict=True)])


def match_form(tree: Any, like: Any) -> Any:
    """``tree`` with its dicts in the key order of ``like``; an error if their forms differ."""
    if isinstance(like, dict):
        if not isinstance(tree, dict) or tree.keys() != like.keys():
            raise DataError(f"expected a dict with the keys {list(like)}, got {_form(tree)}")
        return {key: match_form(tree[key], branch) for key, branch in like.items()}
    if isinstance(like, (list, tuple)):
        if not isinstance(tree, (list, tuple)) or len(tree) != len(like):
            raise DataError(f"expected a sequence of {len(like)}, got {_form(tree)}")
        return [match_form(branch, form) for branch, form in zip(tree, like, strict=True)]
    if isinstance(tree, (dict, list, tuple)):
        raise DataError(f"expected a single array, got {_form(tree)}")
    return tree


def _form(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict with the keys {list(tree)}"
    return f"a sequence of {len(tree)}" if isinstance(tree, (list, tuple)) else type(tree).__name__
