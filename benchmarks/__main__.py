"""The command line: which works are measured, and where the results go."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import heat_map, report
from benchmarks.catalogue import WORKS, Results, Work, training
from benchmarks.peers import PEERS
from benchmarks.processes import ROOT
from benchmarks.runner import Session
from benchmarks.tasks import Task

SCRIPTS = "Scripts" if os.name == "nt" else "bin"
PEERS_PYTHON = str(ROOT / ".venv-peers" / SCRIPTS / "python")
VARIABLE = "CHAINRULE_PEERS"
NUMBERS, PAGE = "benchmarks.json", "benchmarks.md"
EXAMPLES = """
  python -m benchmarks train --only 2-10-10-1 --peers native,jax-scan --rounds 31
  python -m benchmarks train --net 20-45-45-1 --batch 128
  python -m benchmarks grid --only "width 45" --rounds 3
  python -m benchmarks grid --out docs --resume
"""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Timings side by side: ours and peers', in turns, seen to do the same work.",
        epilog=f"examples:{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; all by default")
    add("--only", default="", metavar="TEXT", help="cases whose name holds this")
    add("--peers", metavar="NAMES", help=f"of {','.join(PEERS)}; all by default")
    add("--rounds", type=int, help="in place of each work's own number")
    add("--seconds", type=float, help="of one entry's share of a round")
    add("--net", metavar="WIDTHS", help="train this network, such as 64-128-10")
    add("--batch", type=int, default=32, help="rows a step of --net")
    add("--steps", type=int, default=100, help="steps an epoch of --net")
    add("--out", type=Path, metavar="FOLDER", help="write benchmarks.md and its files there")
    add("--resume", action="store_true", help="measure only the cases that --out does not hold")
    add(
        "--peers-python", default=os.environ.get(VARIABLE, PEERS_PYTHON),
        help=f"interpreter of the peers' environment; by default {VARIABLE} or .venv-peers",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    if given.resume and not given.out:
        parser.error("--resume needs --out: the folder where the first cases are")
    if given.out and not (given.out / PAGE).is_file():
        parser.error(f"--out needs a folder with {PAGE}, whose tables it replaces, such as docs")
    for kind, names, known in (
        ("work", given.works, WORKS),
        ("peer", given.peers.split(",") if given.peers else (), PEERS),
    ):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"there is no {kind} {unknown[0]!r}; there are {', '.join(known)}")
    return given


def chosen(given: argparse.Namespace) -> dict[str, Work]:
    """The works with what was asked for of each."""
    if given.net:
        widths = tuple(map(int, given.net.split("-")))
        works = {"train": training({Task("train", widths, given.batch, given.steps): 1})}
    else:
        works = {name: WORKS[name]() for name in given.works or WORKS}
    return {name: narrowed(work, given) for name, work in works.items()}


def narrowed(work: Work, given: argparse.Namespace) -> Work:
    """The cases and peers that were asked for."""
    peers = given.peers.split(",") if given.peers else PEERS
    cases = {
        name: [entry for entry in entries if entry.peer in peers]
        for name, entries in work.cases.items()
        if given.only in name
    }
    rounds, seconds = given.rounds or work.rounds, given.seconds or work.seconds
    return replace(work, cases=cases, rounds=rounds, seconds=seconds)


def measure(
    session: Session, name: str, work: Work, known: Results, keep: Callable[[report.Json], object]
) -> report.Json:
    """A work's results, printed and kept as they come; what is known is not measured again."""
    print(f"\n# {name}: {work.title}", flush=True)
    found = dict(known)
    for case, entries in work.cases.items():
        if case in known:
            continue
        found[case] = session.compare(entries, work.rounds, work.seconds)
        one = replace(work, cases={case: entries}, goals=[])
        print(report.work_table(report.summary(one, {case: found[case]}, work.rounds)), flush=True)
        keep(report.summary(work, found, work.rounds))
    return report.summary(work, found, work.rounds)


def known_results(given: argparse.Namespace) -> dict[str, Results]:
    """What need not be measured, by work."""
    works = report.read(given.out / NUMBERS) if given.resume else {}
    return {name: report.recalled(work) for name, work in works.items()}


def keeper(given: argparse.Namespace, name: str) -> Callable[[report.Json], object]:
    """What keeps a work's results after each case, so that no interruption costs more than one."""
    return lambda work: given.out and report.merged(given.out / NUMBERS, {name: work})


def write(folder: Path, works: dict[str, report.Json]) -> None:
    """The page, its numbers and its picture."""
    known = report.merged(folder / NUMBERS, works)
    sections = [f"\n{report.goals_table(known)}\n"]
    for name in (name for name in WORKS if name in known):
        if name != "grid":
            sections.append(report.section(name, known[name]))
            continue
        ratios = heat_map.grid_ratios(known[name]["cases"])
        heat_map.draw(ratios, folder / "benchmarks.svg")
        sections.append(heat_map.section(known[name], ratios))
    report.write_page(folder / PAGE, sections)


def main() -> None:
    """Measure."""
    given = options()
    works, known = chosen(given), known_results(given)
    with Session(given.peers_python) as session:
        found = {
            name: measure(session, name, work, known.get(name, {}), keeper(given, name))
            for name, work in works.items()
        }
    print(f"\n{report.goals_table(found)}")
    if given.out:
        write(given.out, found)


if __name__ == "__main__":
    main()
