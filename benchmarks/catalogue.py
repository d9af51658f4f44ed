"""What is measured: works of cases, whose entries stand side by side, and the goals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np

from benchmarks.alone import MEBIBYTE
from benchmarks.peers import PEERS
from benchmarks.processes import ROOT
from benchmarks.runner import Alone, Entry, Measured, Rounds, ratio
from benchmarks.tasks import Task

Case = Mapping[str, Measured]
Results = Mapping[str, Case]
FASTEST_PEER = "the fastest peer"
OURS = PEERS["native"].label


@dataclass(frozen=True)
class Goal:
    """A number that is promised.

    Parameters
    ----------
    text : str
    bound : float
    value : callable
        The number; raises KeyError or ValueError where what it needs was not measured.
    at_least : bool
        Whether the bound is the least that will do, or the most.
    """

    text: str
    bound: float
    value: Callable[[Results], float]
    at_least: bool = True

    def reached(self, value: float) -> bool:
        """Whether a number will do."""
        return value >= self.bound if self.at_least else value <= self.bound

    @property
    def sign(self) -> str:
        """How the bound is written."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


@dataclass(frozen=True)
class Work:
    """One kind of work.

    Parameters
    ----------
    title, unit : str
        What it is, and what a time is the time of.
    cases : dict of name to entries
    goals : list of Goal
    rounds : int
    seconds : float
        Of an entry's share of a round.
    quantity : str
        Which of the numbers of a round is compared.
    also : tuple of str
        Which others are shown.
    """

    title: str
    unit: str
    cases: Mapping[str, list[Entry]]
    goals: list[Goal] = field(default_factory=list)
    rounds: int = 9
    seconds: float = 0.2
    quantity: str = "seconds"
    also: tuple[str, ...] = ()


def present(case: Case) -> Iterator[tuple[str, Measured]]:
    """The entries that have numbers."""
    return ((label, each) for label, each in case.items() if each.rounds and not each.absent)


def fastest_peer(case: Case, name: str = "seconds") -> str:
    """The label of the peer with the least median.

    Raises
    ------
    ValueError
        If no peer was measured.
    """
    theirs = [(each.median(name), label) for label, each in present(case) if is_peer(label)]
    return min(theirs)[1]


def is_peer(label: str) -> bool:
    """Whether an entry is somebody else's."""
    return not label.startswith(OURS)


def compared(case: Case, above: str, below: str = OURS, name: str = "seconds") -> float:
    """How many times as much the one needs as the other."""
    measured = dict(present(case))
    over = fastest_peer(case, name) if above == FASTEST_PEER else above
    return ratio(measured[over], measured[below], name)


def faster(case: str, bound: float, above: str = FASTEST_PEER, below: str = OURS) -> Goal:
    """``above`` needs at least ``bound`` times as long as ``below``."""
    return Goal(
        f"{case}: {above} / {below}", bound, lambda found: compared(found[case], above, below)
    )


def at_most(case: str, bound: float, above: str, below: str) -> Goal:
    """``above`` needs at most ``bound`` times as long as ``below``."""
    return Goal(
        f"{case}: {above} / {below}",
        bound,
        lambda found: compared(found[case], above, below),
        at_least=False,
    )


def entries(task: Task, *names: str) -> list[Entry]:
    """The same task for several peers."""
    return [Rounds(PEERS[name].label, name, task) for name in names]


# ---------------------------------------------------------------------------- training steps

TRAINERS = (
    "native", "native-1", "jax-scan", "jax-step", "torch", "torch-1", "torch-compile", "sklearn",
    "numpy",
)  # fmt: skip
NETWORKS = {
    Task("train", (2, 10, 10, 1), 32): 15,
    Task("train", (64, 128, 10), 64): 3.5,
    Task("train", (784, 256, 128, 10), 128, steps=40): 1.4,
    Task("train", (784, 1024, 1024, 10), 256, steps=12): 1.12,
}
LARGEST = [*NETWORKS][-1]
LONG_SECONDS = 0.6  # several epochs of the largest: what a call of fit copies is one step's worth
PRODUCT = Task("product", (1024, 1024), 1024, steps=1)


def training(tasks: Mapping[Task, float]) -> Work:
    """Training steps of some networks, each with its goal."""
    return Work(
        "Training with Adam, float32",
        "step",
        {str(task): entries(task, *TRAINERS) for task in tasks},
        [faster(str(task), bound) for task, bound in tasks.items()],
        seconds=LONG_SECONDS,
    )


def peak() -> Work:
    """The largest network beside a product alone, both by operations a second."""
    case, product = f"{LARGEST} beside a product of 1024 x 1024 x 1024", "NumPy, the product"

    def share(found: Results) -> float:
        times = compared(found[case], product)
        return times * LARGEST.operations / PRODUCT.operations

    return Work(
        "Share of the machine's rate of products",
        "step, or the product",
        {case: [*entries(LARGEST, "native", "native-1"), Rounds(product, "numpy", PRODUCT)]},
        [Goal(f"{LARGEST}: share of the rate of products", 0.72, share)],
        seconds=LONG_SECONDS,
    )


# ---------------------------------------------------------------------------- no cliff

WIDTHS = (4, 8, 16, 32, 45, 46, 64, 128, 256, 512, 1024)
BATCHES = (1, 8, 32, 128, 512)
EPOCH_ROWS, EPOCH_OPERATIONS, FEWEST_STEPS = 1024, 2e9, 4
UPDATE_OPERATIONS = 300  # that fit into the time in which Adam moves one parameter, from memory


def cell(width: int, batch: int) -> Task:
    """Two hidden layers of a width; epochs of 1,024 rows, or fewer where steps are long."""
    widths = (20, width, width, 1)
    step = Task("train", widths, batch)
    operations = step.operations + UPDATE_OPERATIONS * parameters(widths)
    steps = min(max(step.steps, EPOCH_ROWS // batch), int(EPOCH_OPERATIONS / operations))
    return replace(step, steps=max(steps, FEWEST_STEPS))


def parameters(widths: Sequence[int]) -> int:
    """Numbers in the weights and biases of a network."""
    return sum(a * b + b for a, b in pairwise(widths))


def cell_name(width: int, batch: int) -> str:
    """How a cell is called."""
    return f"width {width}, batch {batch}"


def grid() -> Work:
    """Every width with every batch."""
    cells = {cell_name(w, b): cell(w, b) for w in WIDTHS for b in BATCHES}
    peers = ("native", "jax-scan", "torch", "numpy")
    return Work(
        "Every width with every batch: 20 features, 2 hidden layers",
        "step",
        {name: entries(task, *peers) for name, task in cells.items()},
        [
            Goal(f"the least of {len(cells)} ratios", 0.95, lambda found: min(ratios(found))),
            Goal(
                f"the geometric mean of {len(cells)} ratios",
                5,
                lambda found: statistics.geometric_mean(ratios(found)),
            ),
        ],
        rounds=5,
        seconds=0.3,
    )


def ratios(found: Results) -> list[float]:
    """The fastest peer's time by ours, in each case."""
    return [compared(case, FASTEST_PEER) for case in found.values()]


# ---------------------------------------------------------------------------- busy neighbours

CORES = 2


def busy() -> Work:
    """A process that runs flat out on each core."""
    task, names = Task("train", (64, 128, 10), 64), ("native", "native-1", "jax-scan", "torch")
    case = f"{task}, one busy process for each core"
    both = [
        Rounds(PEERS[name].label + beside, name, task, count)
        for name in names
        for beside, count in (("", 0), (" beside others", CORES))
    ]
    return Work(
        "Busy neighbours",
        "step",
        {case: both},
        [at_most(case, 3.5, f"{OURS} beside others", OURS)],
        seconds=0.4,
    )


# ---------------------------------------------------------------------------- whole processes


def process() -> Work:
    """From the start of the interpreter to 97 % of test rows told apart."""
    case, sklearn = "digits to 97 %, 64-128-10, batch 64", PEERS["sklearn"].label
    task = Task("train", (64, 128, 10), 64, steps=22, source=digits_file())
    ours = [
        Alone(f"{OURS}, {state} cache", "native", "digits", task, state == "cold")
        for state in ("cold", "warm")
    ]
    theirs = [
        Alone(PEERS[name].label, name, "digits", task)
        for name in ("sklearn", "torch", "jax-scan", "numpy")
    ]
    return Work(
        "Whole process: start, load, train, end",
        "process",
        {case: [*ours, *theirs]},
        [
            faster(case, 3.5, sklearn, f"{OURS}, cold cache"),
            faster(case, 4.5, sklearn, f"{OURS}, warm cache"),
        ],
        rounds=5,
        also=("peak MiB", "epochs"),
    )


def digits_file() -> str:
    """scikit-learn's digits from 0 to 1, in a file that everyone can load: 22 batches, the rest."""
    from sklearn.datasets import load_digits

    path = ROOT / "out" / "digits.npz"
    path.parent.mkdir(exist_ok=True)
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    (train, test), X = np.split(order, [22 * 64]), (X / 16).astype(np.float32)
    np.savez(path, X=X[train], y=y[train], X_test=X[test], y_test=y[test])
    return str(path)


def estimators() -> Work:
    """Whole fits of multi-layer perceptrons with scikit-learn's defaults, on real data."""
    from benchmarks.estimators import DATA, task

    sklearn = PEERS["sklearn"].label
    works = {"float64": "fit", "float32": "fit float32"}
    cases, goals = {}, []
    for name in DATA:
        described = task(name)
        cases[name] = [
            Alone(f"{label}, {dtype}", peer, work, described)
            for label, peer in ((OURS, "native"), (sklearn, "sklearn"))
            for dtype, work in works.items()
        ]
        for dtype in works:
            ours, theirs = f"{OURS}, {dtype}", f"{sklearn}, {dtype}"
            goals += [
                Goal(f"{name}: {theirs} / {ours}", 5, partial(_fit_ratio, name, theirs, ours)),
                Goal(
                    f"{name}, {dtype}: score behind scikit-learn's, in standard errors", 2,
                    partial(_behind, name, theirs, ours), at_least=False,
                ),
            ]  # fmt: skip
    return Work(
        "Estimators with scikit-learn's defaults", "fit", cases, goals, rounds=5,
        quantity=FIT_SECONDS, also=("score",),
    )  # fmt: skip


FIT_SECONDS = "fit seconds"


def _fit_ratio(case: str, above: str, below: str, found: Results) -> float:
    return compared(found[case], above, below, FIT_SECONDS)


def _behind(case: str, theirs: str, ours: str, found: Results) -> float:
    """By how many standard errors of the paired difference our scores are lower."""
    pairs = zip(found[case][theirs].values("score"), found[case][ours].values("score"), strict=True)
    gaps = [their - our for their, our in pairs]
    error = statistics.stdev(gaps) / len(gaps) ** 0.5
    return statistics.mean(gaps) / error if error else math.copysign(math.inf, sum(gaps) or -1)


def members() -> Work:
    """Networks that train at once."""
    one, many = Task("train", (2, 10, 10, 1), 32), Task("train", (2, 10, 10, 1), 32, members=32)
    case, label = f"{one}: one network and 32", f"{OURS}, 32 members"
    both = [
        Rounds(PEERS[name].label + suffix, name, task)
        for name in ("native", "jax-scan")
        for suffix, task in (("", one), (", 32 members", many))
    ]
    return Work("Members", "step of all", {case: both}, [at_most(case, 10, label, OURS)])


# ---------------------------------------------------------------------------- use

ONE_ROW = Task("predict", (64, 128, 10), steps=1)
MANY_ROWS = Task("predict", (784, 256, 128, 10), 100_000, steps=1)
POINT = Task("value", (4, 32, 32, 2), steps=1)


def latency() -> Work:
    """One row, from a Python call to its result."""
    case, numpy, onnx = "one row through 64-128-10", PEERS["numpy"].label, PEERS["onnx"].label
    function, predict = f"{OURS}, compiled function", f"{OURS}, model.predict"
    ours = [
        Rounds(function, "native", replace(ONE_ROW, kind="compiled")),
        Rounds(predict, "native", ONE_ROW),
    ]
    return Work(
        "One row: from a Python call to its result",
        "call",
        {case: [*ours, *entries(ONE_ROW, "numpy", "onnx", "torch", "jax-step")]},
        [
            at_most(case, 0.65, function, numpy),
            at_most(case, 1.5, predict, numpy),
            faster(case, 3, onnx, function),
            faster(case, 3, onnx, predict),
        ],
        seconds=0.1,
    )


def prediction() -> Work:
    """Many rows in one call."""
    case = "100,000 rows through 784-256-128-10"
    peers = ("native", "native-1", "numpy", "torch", "torch-compile", "jax-step", "onnx")
    return Work(
        "Many rows", "call", {case: entries(MANY_ROWS, *peers)}, [faster(case, 1.2)], rounds=7
    )


def derivatives() -> Work:
    """Values and derivatives at one point, from a Python call to its result."""
    case = "4-32-32-2 tanh, one point"
    kinds = {"value": "value", "hvp": "Hessian-vector product", "jacobian": "Jacobian"}
    columns = [
        Rounds(f"{PEERS[name].label}, {kinds[kind]}", name, replace(POINT, kind=kind))
        for name in ("native", "jax-step", "torch")
        for kind in kinds
    ]
    value, product, jacobian = (f"{OURS}, {kind}" for kind in kinds.values())
    return Work(
        "Derivatives as compiled functions",
        "call",
        {case: columns},
        [at_most(case, 1.5, product, value), at_most(case, 2.5, jacobian, value)],
        seconds=0.1,
    )


# ---------------------------------------------------------------------------- the long run


def long() -> Work:
    """A million steps, in the course of which units die."""
    case, task = "2-10-10-1, batch 32, a million steps", Task("train", (2, 10, 10, 1), 32)
    return Work(
        "Subnormal numbers: the last tenth of a million steps beside the first",
        "last tenth / first tenth",
        {case: [Alone(OURS, "native", "long", task)]},
        [Goal(case, 1.1, lambda found: found[case][OURS].median("slowdown"), at_least=False)],
        rounds=2,
        quantity="slowdown",
        also=("us a step at first", "dead units"),
    )


ADAM_STATES = 2
SLACK = 1.2
PAGES = 1.0  # MiB that pages and Python's own objects may take


def memory_bound(task: Task) -> float:
    """The mebibytes that training may take beyond the data set."""
    numbers = parameters(task.widths) * (4 + ADAM_STATES) + task.batch * sum(task.widths)
    return SLACK * 4 * numbers / MEBIBYTE + PAGES


def memory() -> Work:
    """The most memory that a training takes, beyond the data set."""
    names = ("native", "jax-scan", "torch", "sklearn", "numpy")
    goals = [
        Goal(
            f"{task}: MiB",
            round(memory_bound(task), 1),
            lambda found, case=str(task): found[case][OURS].median("mebibytes"),
            at_least=False,
        )
        for task in NETWORKS
    ]
    return Work(
        "Memory of training, beyond the data set and the libraries",
        "training",
        {str(task): [Alone(PEERS[n].label, n, "memory", task) for n in names] for task in NETWORKS},
        goals,
        rounds=3,
        quantity="mebibytes",
        also=("peak MiB",),
    )


WORKS: dict[str, Callable[[], Work]] = {
    "train": lambda: training(NETWORKS),
    "peak": peak,
    "grid": grid,
    "busy": busy,
    "process": process,
    "estimators": estimators,
    "members": members,
    "latency": latency,
    "prediction": prediction,
    "derivatives": derivatives,
    "long": long,
    "memory": memory,
}
