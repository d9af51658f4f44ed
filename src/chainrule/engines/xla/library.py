"""JAX, imported on first use, with a sentence where it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import import_module
from typing import Any, Final

from chainrule.errors import EngineError, missing_extra


class _Module:
    """A module of JAX that is imported when something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(_loaded(self._name), name)


@cache
def _loaded(name: str) -> Any:
    try:
        module = import_module(name)
        if name == "jax":
            _ = module.enable_x64
        return module
    except ModuleNotFoundError as reason:
        if (reason.name or "").partition(".")[0] in ("jax", "jaxlib"):
            raise missing_extra("the xla engine", "xla") from None
        raise
    except (ImportError, RuntimeError, AttributeError) as reason:  # parts of different versions
        raise EngineError(
            f"JAX cannot be loaded: {first_sentence(reason)}; reinstall its parts together with"
            ' pip install --upgrade "chainrule[xla]"'
        ) from reason


jax: Final[Any] = _Module("jax")
jnp: Final[Any] = _Module("jax.numpy")
lax: Final[Any] = _Module("jax.lax")
clusters: Final[Any] = _Module("jax._src.clusters")


def first_sentence(reason: BaseException) -> str:
    """What an error of JAX says, without the lines of advice below it."""
    lines = str(reason).strip().splitlines() or [type(reason).__name__]
    return lines[0].split(". ")[0].rstrip(".;:")


@contextmanager
def in_words(sentence: str) -> Iterator[None]:
    """Errors of JAX, and of what it asks, as a sentence with ``{}`` in the place of theirs.

    JAX raises RuntimeError and ValueError, reading the environment and the network the next two.
    Those of Kubernetes' client are derived from nothing narrower.
    """
    try:
        yield
    except Exception as reason:
        known = isinstance(reason, (RuntimeError, ValueError, LookupError, OSError))
        if not known and type(reason).__module__.partition(".")[0] not in ("kubernetes", "urllib3"):
            raise
        raise EngineError(sentence.format(first_sentence(reason))) from reason


def wide() -> AbstractContextManager[Any]:
    """In it JAX keeps 64-bit types as they are; the switch of the whole process stays alone."""
    scope: AbstractContextManager[Any] = jax.enable_x64(True)
    return scope
