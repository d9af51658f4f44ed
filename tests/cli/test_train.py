"""``chainrule train``, ``predict``, ``evaluate``, ``inspect``: from a table to a model and back."""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.learn import Problem, Settings, hidden_layers, learn
from chainrule.cli.tables import TableModel
from chainrule.data import read_table, write_csv
from chainrule.errors import ParameterError
from tests.cli.conftest import FAST, Run, flowers, houses


def facts(text: str) -> dict[str, str]:
    """The two columns that a command prints."""
    rows = (re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines() if line)
    return {row[0]: row[1] for row in rows if len(row) == 2}


def test_training_says_what_it_did(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.chainrule"
    result = run("train", table, "--target", "kind", *FAST, "--out", out)
    assert result.exit_code == 0 and result.stderr == ""
    said = facts(result.stdout)
    assert said["task"] == "classification of 'kind', 3 classes"
    assert said["rows"] == "204 trained on, 36 held out to choose the epoch"
    assert said["features"] == "2"
    assert said["network"] == "2-8-3, float32"
    assert said["seed"] == "1"
    assert re.fullmatch(r"\d+ of \d+", said["best epoch"])
    assert said["stopped because"] in ("all epochs were done", "validation loss has not improved")
    accuracy, baseline = re.fullmatch(
        r"(\S+) \(majority class: (\S+)\)", said["held-out accuracy"]
    ).groups()
    assert float(accuracy) > float(baseline) + 0.3
    assert out.is_file() and said["written"] == str(out)


def test_the_same_seed_gives_the_same_weights(run: Run, table: Path, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        path = tmp_path / name
        run("train", table, "--target", "kind", *FAST, "--seed", seed, "--out", path)
        digests.append(TableModel.load(str(path)).weights_digest())
    assert digests[0] == digests[1] != digests[2]


def test_without_a_seed_one_is_drawn_and_said(run: Run, table: Path) -> None:
    options = ("--epochs", "1", "--layers", "none", "--quiet")
    seeds = {facts(run("train", table, "--target", "kind", *options).stdout)["seed"] for _ in "ab"}
    assert len(seeds) == 2


def test_predictions_are_in_the_targets_own_words(run: Run, models: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "new.csv", new := flowers(60, seed=7))
    out = tmp_path / "predictions.csv"
    result = run("predict", models / "flowers.chainrule", tmp_path / "new.csv", "--out", out)
    assert result.exit_code == 0
    found = read_table(out)
    labels = ["lily", "rose", "tulip"]
    assert found.names == ("prediction", *[f"probability {label}" for label in labels])
    shares = found.numbers(found.names[1:])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert found.target("prediction").tolist() == [labels[i] for i in shares.argmax(axis=1)]
    assert np.mean(found.target("prediction") == new["kind"]) > 0.85


def test_columns_are_found_by_name(run: Run, models: Path, tmp_path: Path) -> None:
    """Another order, a further column of words, no target: the same predictions."""
    rows = flowers(30, seed=8)
    shuffled = {"note": ["words"] * 30, "width": rows["width"], "length": rows["length"]}
    outputs = []
    for name, columns in (("plain", rows), ("shuffled", shuffled)):
        write_csv(tmp_path / f"{name}.csv", columns)
        out = tmp_path / f"{name}.out"
        run("predict", models / "flowers.chainrule", tmp_path / f"{name}.csv", "--out", out)
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]


def test_regression_is_in_the_targets_unit(run: Run, models: Path, tmp_path: Path) -> None:
    rows = houses(50, seed=3)
    write_csv(tmp_path / "new.csv", rows)
    out = tmp_path / "p.csv"
    run("predict", models / "houses.chainrule", tmp_path / "new.csv", "--out", out)
    predicted = read_table(out).numbers(["prediction"])[:, 0]
    price = rows["price"]
    assert np.sqrt(np.mean((predicted - price) ** 2)) < 0.3 * price.std()
    loaded = cr.load(models / "houses.chainrule")
    X = np.column_stack([rows["area"], rows["age"]])
    np.testing.assert_array_equal(loaded.predict(X)[:, 0], predicted.astype(np.float32))


def test_evaluation_compares_with_the_baseline(run: Run, models: Path, tmp_path: Path) -> None:
    rows = houses(50, seed=3)
    write_csv(tmp_path / "new.csv", rows)
    said = facts(run("evaluate", models / "houses.chainrule", tmp_path / "new.csv").stdout)
    predicted = cr.load(models / "houses.chainrule").predict(
        np.column_stack([rows["area"], rows["age"]])
    )
    error = np.sqrt(np.mean((predicted[:, 0] - rows["price"]) ** 2))
    assert said["rows"] == "50" and said["target"] == "'price'"
    assert said["root mean squared error"].startswith(f"{error:.4g} (training mean: ")
    share = 1 - error**2 / np.mean((model_mean(models) - rows["price"]) ** 2)
    assert said["R²"].startswith(f"{share:.4g} ")


def model_mean(models: Path) -> float:
    return TableModel.load(str(models / "houses.chainrule")).columns.typical


def test_accuracy_and_log_loss_are_counted(run: Run, models: Path) -> None:
    said = facts(run("evaluate", models / "flowers.chainrule", models / "flowers.csv").stdout)
    model, table = (
        TableModel.load(str(models / "flowers.chainrule")),
        read_table(models / "flowers.csv"),
    )
    output = model.predict(table)
    truth = np.array([("lily", "rose", "tulip").index(kind) for kind in table.target("kind")])
    accuracy = np.mean(output.argmax(axis=1) == truth)
    loss = -np.mean(np.log(output[np.arange(len(truth)), truth].astype(float)))
    assert said["accuracy"].startswith(f"{accuracy:.4g} (majority class: ")
    assert said["log loss"].startswith(f"{loss:.4g} (equal odds: {np.log(3):.4g})")


def test_inspect_says_what_is_in_the_file(run: Run, models: Path) -> None:
    path = models / "flowers.chainrule"
    result = run("inspect", path)
    assert result.exit_code == 0
    said = facts(result.stdout)
    assert said["task"] == "classification of 'kind'"
    assert said["features"] == "2: length, width"
    assert said["classes"] == "3: lily, rose, tulip"
    assert said["seed"] == "1"
    assert said["file"] == f"{path.stat().st_size:,} bytes"
    assert said["SHA-256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert said["of the weights"] == TableModel.load(str(path)).weights_digest()
    assert "51 parameters" in result.stdout  # 2 x 8 + 8 + 8 x 3 + 3


def test_the_plan_is_that_of_a_prediction(run: Run, models: Path) -> None:
    plan = run("inspect", models / "flowers.chainrule", "--plan").stdout
    assert [line.split()[2].partition("(")[0] for line in plan.splitlines()[1:]] == [
        "subtract", "divide", "matmul", "add", "relu", "matmul", "add", "softmax",
    ]  # fmt: skip


def test_features_are_standardised_on_training_rows_only(table: Path) -> None:
    problem = Problem.of(read_table(table), "kind", "auto", 0.25, seed=3)
    settings = Settings((4,), 1, 32, 1e-3, 0.0, 0.25, 5, 3)
    learned = learn(problem, settings, progress=False)
    state = learned.model.network["standardize"].state
    np.testing.assert_allclose(state["center"], problem.X[problem.rows].mean(axis=0), rtol=1e-6)
    assert not np.allclose(state["center"], problem.X.mean(axis=0), rtol=1e-6)


def test_large_offsets_are_computed_in_float64(tmp_path: Path) -> None:
    rows = houses(80, seed=0)
    for offset, dtype in ((0.0, "float32"), (1e9, "float64")):
        write_csv(
            tmp_path / "t.csv", {**rows, "age": rows["age"] + offset, "price": rows["area"] * 2}
        )
        problem = Problem.of(read_table(tmp_path / "t.csv"), "price", "auto", 0.2, seed=0)
        settings = Settings((4,), 1, 32, 1e-3, 0.0, 0.2, 5, 0)
        assert learn(problem, settings, progress=False).model.network.dtype.name == dtype


def test_dropout_and_linear_models(run: Run, table: Path) -> None:
    arguments = ("train", table, "--target", "kind", "--epochs", "2", "--quiet")
    assert "2-64-32-3" in run(*arguments, "--dropout", "0.5").stdout
    assert "2-3," in run(*arguments, "--layers", "none").stdout


def test_the_task_can_be_chosen(run: Run, tmp_path: Path) -> None:
    rows = flowers(100, seed=0)
    write_csv(tmp_path / "t.csv", {**rows, "kind": (rows["length"] > 5).astype(int)})
    arguments = ("train", tmp_path / "t.csv", "--target", "kind", *FAST)
    assert "classification" in run(*arguments).stdout
    assert "regression" in run(*arguments, "--task", "regression").stdout


def test_early_stopping_says_why(run: Run, table: Path) -> None:
    options = (
        "--epochs",
        "500",
        "--patience",
        "2",
        "--learning-rate",
        "0.1",
        "--seed",
        "0",
        "--quiet",
    )
    said = facts(run("train", table, "--target", "kind", *options).stdout)
    assert said["stopped because"] == "validation loss has not improved for 2 epochs"
    best, ran = map(int, said["best epoch"].split(" of "))
    assert ran == best + 2


@pytest.mark.parametrize(("text", "sizes"), [("64,32", (64, 32)), (" 8 ", (8,)), ("none", ())])
def test_layers(text: str, sizes: tuple[int, ...]) -> None:
    assert hidden_layers(text) == sizes


@pytest.mark.parametrize("text", ["", "0", "-3", "2.5", "a", "8,", "8,,8", "9" * 20, "٣"])
def test_absurd_layers(text: str) -> None:
    with pytest.raises(ParameterError, match="layers are whole numbers"):
        hidden_layers(text)


def test_weights_digest_sees_every_number(models: Path) -> None:
    model = TableModel.load(str(models / "flowers.chainrule"))
    digests = [model.weights_digest()]
    for layer, name in itertools.product(("hidden1", "output"), ("W", "b")):
        array = np.array(getattr(model.network[layer], name))
        array.flat[0] = np.nextafter(array.flat[0], np.inf)
        setattr(model.network[layer], name, array)
        digests.append(model.weights_digest())
    assert len(set(digests)) == len(digests)
