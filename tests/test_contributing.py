"""CONTRIBUTING's way to add an operation works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

from chainrule.engines.reference import ReferenceEngine
from chainrule.graph.op import _REGISTRY, registered
from tests.ops.test_every_op import check_derivatives, check_evaluation, check_flags, check_types

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"


def code_blocks(title: str) -> list[str]:
    """The Python code of a section."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_how_to_add_an_op() -> None:
    before = list(registered())
    blocks = code_blocks("How to add an op")
    assert len(blocks) == 2
    try:
        names: dict[str, object] = {}
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
        (added,) = [name for name in registered() if name not in before]
        check_types(added)
        check_evaluation(added, ReferenceEngine())
        check_derivatives(added)
        check_flags(registered()[added])
    finally:
        for name in [name for name in registered() if name not in before]:
            del _REGISTRY[name]


def test_the_record_is_at_most_eight_lines() -> None:
    record = code_blocks("How to add an op")[0].split("bell = ")[1]
    assert len(record.splitlines()) <= 8
