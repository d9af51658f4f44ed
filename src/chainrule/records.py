"""Dataclasses whose methods are written when the first instance is made.

The standard library writes and compiles the methods of a dataclass where its class is defined: most
of a millisecond each. Of the hundred that an import defines a program uses some; here, the others
cost next to nothing.
"""

from __future__ import annotations

import dataclasses
import inspect
from threading import RLock
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_TELLING = ("__init__", "__dataclass_fields__")  # looked at before there is an instance
_lock = RLock()


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
        """Have the standard library write them; it looks at the signature while it does."""
        with _lock:
            if self.written or self.writing:
                return
            if isinstance(vars(self.cls).get("__init__"), _Unwritten):
                del self.cls.__init__  # which the library would keep
            self.writing = True
            try:
                dataclasses.dataclass(**self.options)(self.cls)
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
