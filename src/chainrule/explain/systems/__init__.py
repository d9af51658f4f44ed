"""The shown systems, one module each, written as anybody would write them.

``chainrule show NAME --code`` prints such a module; it runs as it is.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from chainrule.errors import unknown_name
from chainrule.explain.system import System


def systems() -> list[System]:
    """All shown systems, in the order of the lectures."""
    modules = [
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    found = [
        entry for module in modules for entry in vars(module).values() if isinstance(entry, System)
    ]
    return sorted(found, key=lambda entry: (entry.id[0], int(entry.id[1:])))


def find(name: str) -> System:
    """The system of that name or id, in any case.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    known = systems()
    for entry in known:
        if name.lower() in (entry.name, entry.id.lower()):
            return entry
    raise unknown_name("system", name, [f"{entry.name}" for entry in known])
