"""The main job on real input: a circuit, a boundary, derivatives, and digits from a CSV file.

Run it with ``make demo``. Every tick is a comparison made while it runs; one that fails ends the
demo with status 1. What it writes goes to ``out/``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from types import SimpleNamespace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.cli.console import colour, quiet, say, say_numbers, width
from chainrule.cli.tables import TableModel
from chainrule.data import read_table, split, write_csv
from chainrule.explain import agrees, digit_blocks, format_number
from chainrule.explain.palette import TERMINAL_INKS
from chainrule.explain.systems import find
from chainrule.explain.terminal import painted
from chainrule.nn import Activation, Linear, ReLU, Softmax
from chainrule.transforms import simplify

OUT = Path("out")
TRAIN, TEST, PREDICTIONS = OUT / "train.csv", OUT / "test.csv", OUT / "predictions.csv"
MODEL, AGAIN = OUT / "digits.chainrule", OUT / "again.chainrule"
TARGET = "digit"
SETTINGS = SimpleNamespace(
    layers=(512,), members=1, bins=0, scaling="standard", epochs=100, batch_size=32,
    learning_rate=1e-3, dropout=0.5, test=0.0, validation=0.1, patience=20, seed=0,
)  # fmt: skip
REQUIRED_ACCURACY = 0.97
COMPARED_EPOCHS = 40
COMPARED_SEEDS = range(3)
ENLARGED = np.ones((2, 2))  # with colour a pixel is half a character, so each is drawn four times


# ---------------------------------------------------------------------------- telling


def heading(number: int, title: str) -> None:
    line = f"━━ {number} ━━ {title} "
    say(f"\n{painted(line.ljust(width(), '━'), TERMINAL_INKS['forward'], colour())}\n")


def tick(claim: str, holds: bool) -> None:
    """Say what was compared; a comparison that fails ends the demo."""
    if not holds:
        sys.exit(f"✗ {claim}: this does not hold")
    say(f"{painted('✓', TERMINAL_INKS['forward'], colour())} {claim}")


def chainrule(*arguments: object, shown: bool = True) -> None:
    """Run the command line, as anybody would."""
    words = list(map(str, arguments))
    if shown:
        line = f"$ {shlex.join(['chainrule', *words])}"
        say(quiet(" \\\n    ".join(wrap(line, width() - 6, break_on_hyphens=False))))
    sys.stdout.flush()
    stdout = None if shown else subprocess.DEVNULL
    subprocess.run([sys.executable, "-m", "chainrule", *words], check=True, stdout=stdout)


def beside(pictures: Sequence[str], captions: Sequence[str], gap: int, across: int) -> None:
    """Print pictures of equal size next to each other, under their captions."""
    say((" " * gap).join(caption.ljust(across) for caption in captions).rstrip())
    for lines in zip(*(picture.splitlines() for picture in pictures), strict=True):
        say((" " * gap).join(lines).rstrip())


# ---------------------------------------------------------------------------- 1 and 2


def circuit() -> None:
    shown = find("circuit")()
    say(shown.pictures["circuit"].text(colour()))
    say()
    for name, printed in shown.expected.items():
        claim = f"{name} = {format_number(shown.numbers[name])}, as on the slide"
        tick(claim, agrees(shown.numbers[name], printed))
    (OUT / "circuit.svg").write_text(shown.pictures["circuit"].svg(), encoding="utf-8")


def boundary() -> None:
    seconds, shown = timed(find("decision-boundary"))
    say(shown.notes)
    say(f"\n{shown.pictures['boundary'].text(colour())}\n")
    for name, printed in shown.expected.items():
        value = shown.numbers[name]
        tick(f"{name}: {value:g} (the lecture's: {printed})", agrees(value, printed))
    say(quiet(f"best of 10 starts, trained side by side in {seconds:.1f} s"))
    (OUT / "boundary.svg").write_text(shown.pictures["boundary"].svg(), encoding="utf-8")


# ---------------------------------------------------------------------------- 3


def count(nodes: Sequence[Any]) -> int:
    """How many nodes a graph has."""
    from chainrule.graph.walk import topological_order

    return len(topological_order(nodes))


def lecture_network(seed: int) -> tuple[list[Any], Any]:
    """Variables of a 2-10-10-1 network, and its logistic loss on two moons, as one graph."""
    draw = np.random.default_rng(seed)
    X, labels = cr.data.two_moons(64, seed=seed)
    variables, a = [], cr.constant(X)
    sizes = (2, 10, 10, 1)
    for place, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        W = cr.variable(draw.normal(0, np.sqrt(2 / n_in), (n_in, n_out)), name=f"W{place}")
        b = cr.variable(draw.normal(0, 0.1, n_out), name=f"b{place}")
        variables += [W, b]
        z = a @ W + b
        a = cr.relu(z) if place < len(sizes) - 1 else cr.sigmoid(z)
    y = labels[:, None]
    return variables, -cr.mean(y * cr.log(a) + (1 - y) * cr.log(1 - a))


def largest_error(variables: Sequence[Any], loss: Any, slopes: Sequence[Any]) -> float:
    """The greatest difference of a derivative and its central difference, by any parameter."""
    step, worst = 1e-5, 0.0
    for variable, slope in zip(variables, slopes, strict=True):
        start = variable.value
        for place in np.ndindex(start.shape):
            around = []
            for offset in (step, -step):
                moved = start.copy()
                moved[place] += offset
                variable.value = moved
                around.append(float(loss.value))
            variable.value = start
            worst = max(worst, abs((around[0] - around[1]) / (2 * step) - slope[place]))
    return worst


def derivatives() -> None:
    variables, loss = lecture_network(seed=0)
    simple = simplify([loss])
    slopes = cr.gradient(simple[0], variables)
    say_numbers(
        [
            ("nodes of 2-10-10-1 with its logistic loss", "as written", "simplified"),
            ("loss", str(count([loss])), str(count(simple))),
            (
                "loss and its gradient by 151 parameters",
                str(count([loss, *cr.gradient(loss, variables)])),
                str(count(simplify([simple[0], *slopes]))),
            ),
        ]
    )
    say()
    error = largest_error(variables, loss, [slope.value for slope in slopes])
    tick(f"largest error of 151 derivatives against finite differences: {error:.1e}", error < 1e-8)
    z, labels = cr.input((cr.ROWS, 10), name="z"), cr.input((cr.ROWS,), "int64", name="labels")
    p, y = cr.softmax(z), cr.one_hot(labels, 10)
    (cross_entropy,) = simplify([-cr.mean(cr.sum(y * cr.log(p), axis=1))])
    by_hand = (p - y) * (1 / cr.astype(cr.row_count(), "float64"))
    found = simplify(cr.gradient(cross_entropy, [z]))
    tick(
        "the gradient of softmax and cross-entropy became (p − y) / n", found == simplify([by_hand])
    )


# ---------------------------------------------------------------------------- 4


def write_digits() -> None:
    """Handwritten digits, 8 x 8 pixels, from scikit-learn, as two CSV files."""
    from sklearn.datasets import load_digits

    X, labels = load_digits(return_X_y=True)
    for path, rows in zip((TRAIN, TEST), split(len(labels), 0.25, 0, stratify=labels), strict=True):
        pixels = {f"row{i // 8}_column{i % 8}": X[rows, i].astype(int) for i in range(X.shape[1])}
        write_csv(path, {**pixels, TARGET: labels[rows]})
        say(quiet(f"{path}: {len(rows):,} digits of 8 × 8 pixels"))


def train(out: Path, *, shown: bool) -> None:
    """``chainrule train`` with SETTINGS."""
    options = vars(SETTINGS) | {"layers": ",".join(map(str, SETTINGS.layers))}
    words = [
        word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    chainrule(
        "train", TRAIN, "--target", TARGET, *words, "--out", out, "--force", "--quiet", shown=shown
    )


def softmax_regression() -> float:
    """Test accuracy of the same training without a hidden layer."""
    X, y, X_test, y_test = compared_arrays()
    model = cr.Network([Linear(64, 10), Activation(Softmax())], seed=SETTINGS.seed)
    model.fit(
        X, y, optimizer=cr.optim.Adam(SETTINGS.learning_rate), epochs=SETTINGS.epochs,
        batch_size=SETTINGS.batch_size, validation=SETTINGS.validation,
        early_stopping=SETTINGS.patience, seed=SETTINGS.seed, progress=False,
    )  # fmt: skip
    return float(np.mean(model.predict(X_test).argmax(axis=1) == y_test))


def digits() -> None:
    write_digits()
    say()
    train(MODEL, shown=True)
    say()
    chainrule("predict", MODEL, TEST, "--out", PREDICTIONS, "--force")
    predicted, test = read_table(PREDICTIONS), read_table(TEST)
    truth, told = test.target(TARGET), predicted.target("prediction")
    accuracy = float(np.mean(truth == told))
    majority = max(float(np.mean(truth == label)) for label in np.unique(truth))
    say()
    say_numbers(
        [
            ("", "test accuracy"),
            ("this network", f"{accuracy:.4f}"),
            ("softmax regression", f"{softmax_regression():.4f}"),
            ("always the commonest digit", f"{majority:.4f}"),
        ]
    )
    say()
    tick(
        f"test accuracy {accuracy:.4f}, at least {REQUIRED_ACCURACY}", accuracy >= REQUIRED_ACCURACY
    )
    say()
    draw_misread(test.features(exclude=[TARGET])[1], truth, predicted)


def draw_misread(images: np.ndarray, truth: np.ndarray, predicted: Any) -> None:
    """Three digits that the network took for others, with its probabilities."""
    told = predicted.target("prediction")
    rows = np.flatnonzero(truth != told)[:3]
    captions = []
    for row in rows:
        chances = predicted.numbers([f"probability {label}" for label in (told[row], truth[row])])[
            row
        ]
        captions.append(f"read {told[row]} ({chances[0]:.2f}), is {truth[row]} ({chances[1]:.2f})")
    shown = [images[row].reshape(8, 8) for row in rows]
    if colour() != "none":
        shown = [np.kron(image, ENLARGED) for image in shown]
    across = max(map(len, captions), default=0)
    blocks = [digit_blocks(image, colour=colour()) for image in shown]
    padding = " " * (across - 16)
    padded = ["\n".join(line + padding for line in block.splitlines()) for block in blocks]
    beside(padded, captions, 3, across)


# ---------------------------------------------------------------------------- 5 and 6


def compared_arrays() -> tuple[np.ndarray, ...]:
    """Standardised float32 arrays of both files: equal input for both libraries."""
    (X, y), (X_test, y_test) = (
        (table.features([TARGET])[1], table.target(TARGET).astype(np.int64))
        for table in map(read_table, (TRAIN, TEST))
    )
    spread = X.std(axis=0)
    center, scale = X.mean(axis=0), np.where(spread > 0, spread, 1)
    return ((X - center) / scale).astype("f4"), y, ((X_test - center) / scale).astype("f4"), y_test


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """How many seconds ``work`` took, and what it gave."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def fit_ours(X: np.ndarray, y: np.ndarray, seed: int) -> cr.Network:
    hidden = SETTINGS.layers[0]
    layers = [Linear(64, hidden), Activation(ReLU()), Linear(hidden, 10), Activation(Softmax())]
    model = cr.Network(layers, seed=seed)
    model.fit(
        X, y, optimizer=cr.optim.Adam(SETTINGS.learning_rate), epochs=COMPARED_EPOCHS,
        batch_size=SETTINGS.batch_size, seed=seed, progress=False,
    )  # fmt: skip
    return model


def fit_theirs(X: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        SETTINGS.layers, alpha=0.0, batch_size=SETTINGS.batch_size, tol=0.0,
        learning_rate_init=SETTINGS.learning_rate, max_iter=COMPARED_EPOCHS,
        n_iter_no_change=COMPARED_EPOCHS, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are wanted
        return model.fit(X, y)


def scikit_learn() -> None:
    X, y, X_test, y_test = compared_arrays()
    kinds = {
        "chainrule": (fit_ours, lambda model: model.predict(X_test).argmax(axis=1)),
        "scikit-learn": (fit_theirs, lambda model: model.predict(X_test)),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for seed in COMPARED_SEEDS:  # in turns, so that a busy machine is busy for both
        for name, (fit, classes) in kinds.items():
            seconds, model = timed(partial(fit, X, y, seed))
            found[name].append((float(np.mean(classes(model) == y_test)), seconds))
    means = {name: np.mean(rows, axis=0) for name, rows in found.items()}
    rate, batch = SETTINGS.learning_rate, SETTINGS.batch_size
    say(f"64-{SETTINGS.layers[0]}-10, Adam at {rate:g}, batches of {batch}, no dropout,")
    say(f"{COMPARED_EPOCHS} epochs in float32, mean of {len(COMPARED_SEEDS)} seeds\n")
    rows = [(name, f"{mean[0]:.4f}", f"{mean[1]:.2f}") for name, mean in means.items()]
    say_numbers([("", "test accuracy", "seconds"), *rows])


def same_weights() -> None:
    train(AGAIN, shown=False)
    first, second = (TableModel.load(str(path)).weights_digest() for path in (MODEL, AGAIN))
    tick("trained twice from one seed: the same weights, bit for bit", first == second)
    say(f"  SHA-256 {first}\n")
    sizes = [
        (str(path), f"{path.stat().st_size:,}") for path in sorted(OUT.iterdir()) if path.is_file()
    ]
    say_numbers([("written", "bytes"), *sizes])
    program = Path(sys.executable).with_name("chainrule")
    name = (
        os.path.relpath(program)
        if program.exists()
        else f"{os.path.relpath(sys.executable)} -m chainrule"
    )
    say("\nNext:")
    say(f'  {name} draw "1 / (1 + exp(-w * x))" w=2 x=-1 --svg out/neuron.svg')
    say(f"  {name} show decision-boundary noise=0.3 --out out/noisy")
    say(f"  {name} inspect {MODEL} --plan")


PARTS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("(x + y) z at −2, 5, −4: every value, every gradient", circuit),
    ("The lecture's network, 2-10-10-1, on two moons", boundary),
    ("The gradient is a graph too", derivatives),
    ("Handwritten digits: from a table to a model and back", digits),
    ("scikit-learn's MLP at the same settings", scikit_learn),
    ("Same seed, same bits", same_weights),
)


def main() -> None:
    began = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    for number, (title, part) in enumerate(PARTS, 1):
        heading(number, title)
        part()
    say(f"\n{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
