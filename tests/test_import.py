"""`import chainrule` loads NumPy, the standard library and itself, quietly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src"
ADDED_BY_THE_IMPORT = """
import json, sys
import numpy
before = set(sys.modules)
import chainrule
added = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(added - set(sys.stdlib_module_names))))
"""


def python(code: str, sources: Path) -> str:
    """What ``code`` prints in a fresh interpreter, where warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_numpy_and_nothing_heavier() -> None:
    added = json.loads(python(ADDED_BY_THE_IMPORT, SOURCES))
    assert set(added) - {"numpy"} == {"chainrule"}


@pytest.mark.parametrize("heavy", ["scipy", "click", "threadpoolctl"])
def test_an_eager_import_would_be_noticed(heavy: str, tmp_path: Path) -> None:
    (tmp_path / "chainrule").mkdir()
    (tmp_path / "chainrule" / "__init__.py").write_text(f"import {heavy}\n", encoding="utf-8")
    assert heavy in json.loads(python(ADDED_BY_THE_IMPORT, tmp_path))


def test_a_process_that_trains_alone_loads_nothing_to_meet_others() -> None:
    code = ADDED_BY_THE_IMPORT.replace("import chainrule", "import chainrule.networks")
    added = python(code.replace(" - set(sys.stdlib_module_names)", ""), SOURCES)
    assert not {"socket", "selectors", "difflib"} & set(json.loads(added))


def test_import_prints_nothing() -> None:
    assert python("import chainrule", SOURCES) == ""


def test_the_version_has_one_source() -> None:
    printed = python("import chainrule; print(chainrule.__version__)", SOURCES)
    assert printed.strip() == metadata.version("chainrule")
