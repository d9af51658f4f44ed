"""Records as JSON takes them, for files: the name of the kind, and the fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from chainrule.errors import FileFormatError, ParameterError, unknown_name

Kinds = Mapping[str, type[Any]]


def encoded_fields(record: Any, label: str) -> dict[str, Any]:
    """The fields of a dataclass as JSON takes them; records inside become ``{"kind": ..., ...}``.

    Parameters
    ----------
    record : dataclass
    label : str
        What messages call it.

    Raises
    ------
    ParameterError
        If a field holds something that is neither number, text, truth value, tuple nor record.
    """
    return {
        field.name: _encoded(getattr(record, field.name), f"{label}: {field.name}")
        for field in dataclasses.fields(record)
    }


def encode(record: Any) -> dict[str, Any]:
    """A record as JSON takes it.

    Examples
    --------
    >>> from chainrule.nn import LeakyReLU
    >>> encode(LeakyReLU(0.2))
    {'kind': 'LeakyReLU', 'slope': 0.2}
    """
    kind = type(record).__name__
    return {"kind": kind, **encoded_fields(record, kind)}


def _encoded(value: Any, label: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple):
        return [_encoded(item, label) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode(value)
    raise ParameterError(
        f"{label} is {value!r}, a function of your own, which no file can hold; use one of"
        " chainrule.nn's, or save the arrays and rebuild the network in code"
    )


def decode(described: Mapping[str, Any], kinds: Kinds, what: str) -> Any:
    """The record that ``encode`` described.

    Parameters
    ----------
    described : mapping with "kind"
    kinds : mapping
        Every kind that may be made, by name: nothing else is ever looked up.
    what : str
        What the kinds are, for messages.

    Raises
    ------
    UnknownNameError
        If the kind is not one of ``kinds``.
    FileFormatError
        If its settings are not those of the kind.
    """
    settings = {name: value for name, value in described.items() if name != "kind"}
    return build(described.get("kind"), settings, kinds, what)


def build(kind: object, settings: Mapping[str, Any], kinds: Kinds, what: str) -> Any:
    """A record of a kind, from settings that :func:`encoded_fields` gave; see :func:`decode`."""
    if not isinstance(kind, str) or kind not in kinds:
        raise unknown_name(what, kind, kinds)
    known = [field.name for field in dataclasses.fields(kinds[kind])]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise FileFormatError(f"{what} {kind} has no setting {unknown[0]!r} (known: {known})")
    try:
        return kinds[kind](**{name: _tuples(value) for name, value in settings.items()})
    except TypeError as reason:
        raise FileFormatError(f"{what} {kind} cannot be made from its settings: {reason}") from None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
