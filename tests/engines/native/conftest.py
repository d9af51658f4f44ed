"""Tests of the native engine keep their object code in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chainrule.engines.base import BoundedCache
from chainrule.engines.native import build
from chainrule.engines.native.cache import VARIABLE


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ[VARIABLE]
    if before is not None:
        os.environ[VARIABLE] = before


@pytest.fixture
def no_old_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was generated before a test changes the generator is not found."""
    monkeypatch.setenv(VARIABLE, "off")
    monkeypatch.setattr(build, "_loaded", BoundedCache(build.KEPT))
