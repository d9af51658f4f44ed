"""Dataclasses whose methods are written when the first instance is made, and quickly.

The standard library writes and compiles the methods of a dataclass where its class is defined: most
of a millisecond each. Of the hundred that an import defines a program uses some; here, the others
cost next to nothing. Of those that are used only ``__init__`` is compiled: all else that a class
can do is the same for each of them, but for the names of its fields.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from operator import attrgetter
from reprlib import recursive_repr
from threading import RLock
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_TELLING = ("__init__", "__dataclass_fields__")  # looked at before there is an instance
_lock = RLock()

Fields = Sequence["dataclasses.Field[Any]"]


class _Methods:
    """The methods of one class, written once."""

    def __init__(self, cls: Any, options: dict[str, bool]) -> None:
        self.cls, self.options = cls, options
        self.written = self.writing = False
        for name in _TELLING:
            if name not in vars(cls):
                setattr(cls, name, _Unwritten(self, name))
        cls.__new__ = self.make
        cls.__signature__ = _Signature(self)

    def make(self, cls: type[Any], *_: object, **__: object) -> Any:
        """A new instance, whether made or unpickled: other threads wait until all is written."""
        if not self.written:
            self.write()
        return object.__new__(cls)

    def write(self) -> None:
        """Write them, which looks at the class."""
        with _lock:
            if self.written or self.writing:
                return
            if isinstance(vars(self.cls).get("__init__"), _Unwritten):
                del self.cls.__init__  # else it would be taken for the class's own
            self.writing = True
            try:
                _complete(self.cls, self.options)
            finally:
                self.writing = False
            self.written = True


class _Unwritten:
    """In the place of what tells about a class: to look at it writes the methods."""

    def __init__(self, methods: _Methods, name: str) -> None:
        self.methods, self.name = methods, name

    def __get__(self, instance: object, cls: type[Any]) -> Any:
        self.methods.write()
        return getattr(cls if instance is None else instance, self.name)


class _Signature:
    """What a class is called with: its ``__init__`` says so, and ``__new__`` does not."""

    def __init__(self, methods: _Methods) -> None:
        self.methods = methods

    def __get__(self, instance: object, cls: type[Any]) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("only the class has this signature")
        self.methods.write()
        found = inspect.signature(cls.__init__)
        return found.replace(parameters=[*found.parameters.values()][1:])


_USUAL = {"init": True, "repr": True, "eq": True, "frozen": False, "kw_only": False}


def _complete(cls: Any, options: dict[str, bool]) -> None:
    """Make a class a dataclass, by the methods below if they do what its options ask for."""
    if not options.keys() <= _USUAL.keys():
        dataclasses.dataclass(**options)(cls)
        return
    chosen = _USUAL | options
    methods, fields = _gathered(cls, chosen), dataclasses.fields(cls)
    names = [field.name for field in fields]
    if chosen["init"]:
        methods["__init__"] = _initializer(cls, fields, chosen["frozen"])
    if chosen["repr"]:
        methods["__repr__"] = _representation([field.name for field in fields if field.repr])
    if chosen["eq"]:
        methods |= _comparison(fields, hashable=chosen["frozen"])
    if chosen["frozen"]:
        methods |= {f"__{verb}attr__": _refusal(cls, verb, names) for verb in _REFUSED}
    for name, method in methods.items():
        if vars(cls).get(name) is None:  # as __hash__ is beside a comparison of the class's own
            setattr(cls, name, method)
    if cls.__doc__ is None:
        cls.__doc__ = f"{cls.__name__}{inspect.signature(cls)}".replace(" -> None", "")


def _gathered(cls: Any, chosen: dict[str, bool]) -> dict[str, Any]:
    """Give a class its fields; what the library writes without compiling anything.

    The library sees a class with the same fields and no bases, that asks for no methods, and has
    a docstring: to write one takes as long as all the rest.
    """
    annotations = inspect.get_annotations(cls)
    given = {name: vars(cls)[name] for name in annotations if name in vars(cls)}
    own: Any = type(cls.__name__, (), {**given, "__module__": cls.__module__, "__doc__": "its own"})
    own.__annotations__ = annotations
    plain = {"init": False, "repr": False, "eq": False}
    dataclasses.dataclass(**plain, kw_only=chosen["kw_only"])(own)
    for name in plain | {"frozen": True}:
        setattr(own.__dataclass_params__, name, chosen[name])
    for name, value in given.items():
        if isinstance(value, dataclasses.Field):
            delattr(cls, name)
            if name in vars(own):
                setattr(cls, name, vars(own)[name])
    fields: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        fields |= getattr(base, "__dataclass_fields__", {})
    cls.__dataclass_fields__ = fields | own.__dataclass_fields__
    cls.__dataclass_params__ = own.__dataclass_params__
    taken = [f for f in dataclasses.fields(cls) if f.init and not f.kw_only]
    found = {"__match_args__": tuple(field.name for field in taken)}
    return found | {name: vars(own)[name] for name in ("__replace__",) if name in vars(own)}


class _Factory:
    """In the place of a default that is made anew for each instance."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _initializer(cls: Any, fields: Fields, frozen: bool) -> Any:
    """``__init__``, the one method that is compiled: it is called most, and has a signature."""
    ordered = sorted(fields, key=lambda field: field.kw_only is True)
    known: dict[str, Any] = {"__name__": cls.__module__, "_set": object.__setattr__}
    parameters, lines = ["self"], ["pass"]
    for field in ordered:
        name = field.name
        if field.init:
            if field.kw_only and "*" not in parameters:
                parameters.append("*")
            parameters.append(_parameter(field, known))
        value = _first_value(field, known)
        if value:
            lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), known)
    method = known["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {f.name: f.type for f in ordered if f.init} | {"return": None}
    return method


def _parameter(field: dataclasses.Field[Any], known: dict[str, Any]) -> str:
    """A parameter; its default goes among the names that are known."""
    is_made = field.default_factory is not dataclasses.MISSING
    default = _FACTORY if is_made else field.default
    if default is dataclasses.MISSING:
        return field.name
    known[f"_default_{field.name}"] = default
    return f"{field.name}=_default_{field.name}"


def _first_value(field: dataclasses.Field[Any], known: dict[str, Any]) -> str:
    """What an attribute is in the beginning; empty if it is the class's."""
    if field.default_factory is dataclasses.MISSING:
        return field.name if field.init else ""
    known["_FACTORY"], known[f"_make_{field.name}"] = _FACTORY, field.default_factory
    made = f"_make_{field.name}()"
    return f"{made} if {field.name} is _FACTORY else {field.name}" if field.init else made


def _representation(names: Sequence[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def represent(self: Any) -> str:
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({told})"

    return represent


def _values(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives the values of some fields of an instance."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple(getattr(instance, name) for name in names)


def _comparison(fields: Fields, *, hashable: bool) -> dict[str, Any]:
    """``__eq__``, and ``__hash__`` or its absence."""
    compared = _values([field.name for field in fields if field.compare])
    hashed = _values([x.name for x in fields if (x.compare if x.hash is None else x.hash)])

    def equal(self: Any, other: object) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        return compared(self) == compared(other)

    def hash_of(self: Any) -> int:
        return hash(hashed(self))

    return {"__eq__": equal, "__hash__": hash_of if hashable else None}


_REFUSED = {"set": "assign to", "del": "delete"}  # of a frozen class


def _refusal(cls: Any, verb: str, names: Sequence[str]) -> Callable[..., None]:
    """``__setattr__`` or ``__delattr__`` of a frozen class: subclasses may have more attributes."""

    def refuse(self: Any, name: str, *value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot {_REFUSED[verb]} field {name!r}")
        getattr(super(cls, self), f"__{verb}attr__")(name, *value)

    return refuse


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(**options):
        """`dataclasses.dataclass`, put off until the class is used.

        Parameters
        ----------
        **options : bool
            As `dataclasses.dataclass` takes them; not ``slots``, which makes another class.

        Examples
        --------
        >>> @dataclass(frozen=True)
        ... class Point:
        ...     x: float
        ...     y: float = 0.0
        >>> "__eq__" in vars(Point)
        False
        >>> Point(1.0)
        Point(x=1.0, y=0.0)
        >>> "__eq__" in vars(Point)
        True
        """

        def prepare(cls):
            _Methods(cls, options)
            return cls

        return prepare
