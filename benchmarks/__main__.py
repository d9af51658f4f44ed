"""Timings side by side: ``python -m benchmarks WORK ... [--only TEXT] [--rounds N]``."""

from __future__ import annotations

import argparse
import os
import statistics

from benchmarks.peers import PEERS
from benchmarks.peers.numpy_by_hand import expected
from benchmarks.runner import ROOT, Entry, Session, ratio
from benchmarks.tasks import Task

NETWORKS = [
    Task("train", (2, 10, 10, 1), 32),
    Task("train", (64, 128, 10), 64),
    Task("train", (784, 256, 128, 10), 128, 40),
    Task("train", (784, 1024, 1024, 10), 256, 12),
]


def options() -> argparse.Namespace:
    scripts = "Scripts" if os.name == "nt" else "bin"
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", default=["train"])
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--peers", default="native,native-1,jax-scan,numpy")
    parser.add_argument(
        "--peers-python",
        default=os.environ.get("CHAINRULE_PEERS", str(ROOT / ".venv-peers" / scripts / "python")),
    )
    parser.add_argument("--net")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    return parser.parse_args()


def main() -> None:
    given = options()
    tasks = NETWORKS
    if given.net:
        widths = tuple(map(int, given.net.split("-")))
        tasks = [Task("train", widths, given.batch, given.steps)]
    with Session(given.peers_python, given.rounds, given.seconds) as session:
        for task in tasks:
            if given.only not in str(task):
                continue
            entries = [Entry(PEERS[n].label, n, task) for n in given.peers.split(",")]
            found = session.compare(entries, expected)
            print(task)
            ours = found[entries[0].label]
            for label, each in found.items():
                if each.absent:
                    print(f"  {label:28} {each.absent}")
                    continue
                middle, least = statistics.median(each.seconds), min(each.seconds)
                print(
                    f"  {label:28} {middle * 1e6:10.2f} us a step (least {least * 1e6:.2f}),"
                    f" {ratio(each, ours) if ours.seconds else 0:6.2f} times ours,"
                    f" first after {each.first:.2f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
