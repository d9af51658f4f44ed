"""Results as JSON, and as a page of tables."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.catalogue import Results, Work, compared, is_peer, present
from benchmarks.peers import PEERS
from benchmarks.runner import Measured

BEGIN, END = "<!-- written by python -m benchmarks --out -->", "<!-- end of what is written -->"
OURS = PEERS["native"].label
DIGITS = 4  # that are kept of a number
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
NONE = "—"

Json = dict[str, Any]


def machine() -> str:
    """The processor, its cores, and the operating system."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def summary(work: Work, found: Results, rounds: int) -> Json:
    """What is kept of a work's results."""
    return {
        "title": work.title,
        "unit": work.unit,
        "quantity": work.quantity,
        "also": list(work.also),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "rounds": rounds,
        "goals": list(_goals(work, found)),
        "cases": {name: _columns(work, case) for name, case in found.items()},
    }


def _goals(work: Work, found: Results) -> Iterable[Json]:
    for goal in work.goals:
        try:
            value = goal.value(found)
        except (KeyError, ValueError):  # what it needs was left out or could not be done
            continue
        yield {
            "text": goal.text, "bound": goal.sign, "value": rounded(value),
            "reached": goal.reached(value),
        }  # fmt: skip


def _columns(work: Work, case: Mapping[str, Measured]) -> Json:
    found = {}
    for label, each in case.items():
        shown = (work.quantity, *work.also)
        found[label] = {"absent": each.absent} if each.absent else {
            "first": each.first and rounded(each.first),
            "median": {name: rounded(each.median(name)) for name in shown},
            "times ours": _times_ours(case, label, work.quantity),
            "rounds": {name: [rounded(x) for x in each.values(name)] for name in shown},
        }  # fmt: skip
    return found


def recalled(work: Json) -> dict[str, dict[str, Measured]]:
    """The results that a summary was made of, as far as it has kept them."""
    return {
        name: {label: _measured(each) for label, each in case.items()}
        for name, case in work["cases"].items()
    }


def _measured(each: Json) -> Measured:
    if "absent" in each:
        return Measured(absent=each["absent"])
    names, columns = each["rounds"].keys(), each["rounds"].values()
    rounds = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return Measured(rounds, each["first"])


def _times_ours(case: Mapping[str, Measured], label: str, name: str) -> float | None:
    ours = next((other for other, _ in present(case) if not is_peer(other)), None)
    return rounded(compared(case, label, ours, name)) if ours else None


def rounded(value: float) -> float:
    """A number without digits that mean nothing."""
    return float(f"{value:.{DIGITS}g}")


# ---------------------------------------------------------------------------- tables


def shown(value: float, name: str) -> str:
    """A number as people read it."""
    if not name.endswith("seconds"):
        return f"{value:.3g}"
    size, unit = next((each for each in UNITS if value >= each[0]), UNITS[-1])
    return f"{value / size:.3g} {unit}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown, whose columns are as wide as their widest cell."""
    cells = [[*head], *([*row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def goals_table(works: Mapping[str, Json]) -> str:
    """Every goal, and what was measured."""
    rows = [
        (goal["text"], goal["bound"], f"{goal['value']:.3g}", "yes" if goal["reached"] else "no")
        for work in works.values()
        for goal in work["goals"]
    ]
    return table(("goal", "bound", "measured", "reached"), rows)


def work_table(work: Json) -> str:
    """The entries of a work, below one another."""
    cases = work["cases"]
    if len(cases) > 1:
        labels = list(dict.fromkeys(label for case in cases.values() for label in case))
        rows = [[label, *(_cell(case[label], work) for case in cases.values())] for label in labels]
        return table((f"a {work['unit']}", *cases), rows)
    ((name, case),) = cases.items()
    head = (name, f"a {work['unit']}", "times ours", "the first time", *work["also"])
    return table(head, [[label, *_numbers(each, work)] for label, each in case.items()])


def _cell(each: Json, work: Json) -> str:
    if "absent" in each:
        return f"({each['absent']})"
    times = each["times ours"]
    value = shown(each["median"][work["quantity"]], work["quantity"])
    return value if times is None else f"{value} (x {times:.3g})"


def _numbers(each: Json, work: Json) -> list[str]:
    if "absent" in each:
        return [f"({each['absent']})", *[NONE] * (2 + len(work["also"]))]
    times, first, median = each["times ours"], each["first"], each["median"]
    return [
        shown(median[work["quantity"]], work["quantity"]),
        NONE if times is None else f"{times:.3g}",
        NONE if first is None else shown(first, "seconds"),
        *(f"{median[name]:.3g}" for name in work["also"]),
    ]


def section(name: str, work: Json) -> str:
    """A work: its table, and how it was measured."""
    how = f"`python -m benchmarks {name}`, median of {work['rounds']} rounds, {work['date']}"
    return f"### {work['title']}\n\n{how}, {work['machine']}.\n\n{work_table(work)}\n"


# ---------------------------------------------------------------------------- files


def read(path: Path) -> dict[str, Json]:
    """The works that a file holds; none if there is no file."""
    known: dict[str, Json] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known


def merged(path: Path, works: Mapping[str, Json]) -> dict[str, Json]:
    """What the file holds, with new results in the place of old ones; it is written."""
    both = {**read(path), **works}
    path.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")
    return both


def write_page(path: Path, sections: Iterable[str], marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Put sections where the page has a place for them: between two marks."""
    begin, end = marks
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    path.write_text("\n".join([before + begin, *sections, end + after]), encoding="utf-8")
