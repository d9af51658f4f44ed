"""``chainrule train``, ``predict``, ``evaluate``, ``inspect``: from a table to a model and back."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.cli.learn import Asked, Work, hidden_layers, learn
from chainrule.cli.tables import TableModel
from chainrule.data import Schema, as_frame, read_table, write_csv
from chainrule.errors import ParameterError
from chainrule.estimators.table_model import target_from
from chainrule.networks import Network
from chainrule.training import History
from tests.cli.conftest import FAST, Run, flowers, houses, refused, run_app

LABELS = ["lily", "rose", "tulip"]


def facts(text: str) -> dict[str, str]:
    """The two columns that a command prints; what is long goes on in the next line."""
    text = re.sub(r"\n {3,}", " ", text)
    rows = (re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines() if line)
    return {row[0]: row[1] for row in rows if len(row) == 2}


def scores(text: str) -> dict[str, list[str]]:
    """The table of scores: each name with a number for every model."""
    rows = [re.split(r" {2,}", line) for line in text.rpartition("\n\n")[2].splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_training_says_what_it_did(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.chainrule"
    result = run_app("train", table, "--target", "kind", *FAST, "--out", out)
    assert result.exit_code == 0 and result.stderr == ""
    said = facts(result.stdout.partition("\n\n")[0])
    assert said["task"] == "classification of 'kind', 3 classes"
    assert said["rows"] == "163 trained on, 41 held out to choose the epoch, 36 to test"
    assert said["columns"] == "2"
    assert said["network"].endswith("-16-3, float32, 2 members")
    assert said["seed"] == "1"
    assert re.fullmatch(r"\d+ of \d+", said["best epoch"])
    assert said["stopped because"].startswith(("all epochs were done", "validation loss has not"))
    found = scores(result.stdout)
    assert found["test"] == ["this model", "linear model", "majority class"]
    this, linear, majority = map(float, found["accuracy"])
    assert this > majority + 0.3 and this >= linear
    assert list(map(float, found["log loss"])) == sorted(map(float, found["log loss"]))
    assert out.is_file() and said["written"] == str(out)


def test_numbers_are_compared_with_the_mean(models: Path) -> None:
    result = run_app("train", models / "houses.csv", "--target", "price", *FAST)
    found = scores(result.stdout)
    assert found["test"] == ["this model", "linear model", "mean of the target"]
    errors = list(map(float, found["RMSE"]))
    assert errors[0] < 0.5 * errors[2] and errors[1] < errors[2]
    assert abs(float(found["R²"][2])) < 0.2


def test_test_rows_are_not_learned_from(run: Run, tmp_path: Path) -> None:
    """Changing what is true of the test rows changes the scores, and not one weight."""
    rows = houses(200, seed=0)
    work = Work.of(as_frame(rows), Asked("price", "auto", 0.15, 1))
    assert len(work.test) == 30 and not {*work.test} & {*work.train}
    other = rows["price"].copy()
    other[work.test] = other[work.test][::-1]
    digests, errors = [], []
    for price in (rows["price"], other):
        write_csv(tmp_path / "t.csv", {**rows, "price": price})
        out = tmp_path / "m"
        result = run(
            "train", tmp_path / "t.csv", "--target", "price", *FAST, "--out", out, "--force"
        )
        digests.append(TableModel.load(out).weights_digest())
        errors.append(float(scores(result.stdout)["RMSE"][0]))
    assert digests[0] == digests[1] and errors[1] > 2 * errors[0]


def test_the_same_seed_gives_the_same_weights(run: Run, table: Path, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        path = tmp_path / name
        run("train", table, "--target", "kind", *FAST, "--seed", seed, "--out", path)
        digests.append(TableModel.load(path).weights_digest())
    assert digests[0] == digests[1] != digests[2]


def test_without_a_seed_one_is_drawn_and_said(run: Run, table: Path) -> None:
    options = ("--epochs", "1", "--layers", "none", "--members", "1", "--quiet")
    seeds = {facts(run("train", table, "--target", "kind", *options).stdout)["seed"] for _ in "ab"}
    assert len(seeds) == 2


def test_messy_columns_are_understood(run: Run, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    size = draw.normal(100, 20, 200).round(1)
    rows = {
        "id": [f"row{i:04d}" for i in range(200)],
        "size": [f"{x:.1f}".replace(".", ",") if i % 9 else "n/a" for i, x in enumerate(size)],
        "colour": draw.choice(["red", "blue", "?"], 200).tolist(),
        "unit": ["m"] * 200,
        "kind": np.where(size > 100, "large", "small").tolist(),
    }
    rows["kind"][3] = ""
    text = (
        ";".join(rows) + "\n" + "\n".join(";".join(row) for row in zip(*rows.values(), strict=True))
    )
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    result = run("train", path, "--target", "kind", *FAST[:-1], "--out", tmp_path / "m")
    assert result.exit_code == 0, result.stderr
    assert re.search(r"^size +number +decimal comma", result.stderr, re.M)
    assert re.search(r'^unit +drop +"m" in each of \d+ rows', result.stderr, re.M)
    said = facts(result.stdout)
    assert "1 without a target left out" in said["rows"]
    assert said["columns"] == "2, and 2 left out"
    new = tmp_path / "new.csv"
    new.write_text("colour;size\ngreen;120,5\n;80,25\n")
    lines = run("predict", tmp_path / "m", new).stdout.splitlines()
    assert lines[1].startswith("large,") and lines[1].endswith(",unknown")
    assert lines[2].startswith("small,") and "missing" in lines[2]


def test_a_dry_run_says_what_the_columns_are(run: Run, table: Path, tmp_path: Path) -> None:
    schema = tmp_path / "s.json"
    options = ("--target", "kind", "--dry-run", "--out", tmp_path / "m")
    result = run("train", table, *options, "--write-schema", schema)
    assert result.exit_code == 0 and result.stderr == ""
    assert result.stdout.startswith("column  kind    note\n")
    assert facts(result.stdout)["to test"] == "36 (15% at random)"
    assert not (tmp_path / "m").exists()
    edited = Schema.load(schema).with_kinds({"width": "drop"})
    edited.save(schema)
    result = run("train", table, *options, "--schema", schema)
    assert re.search(r"^width +drop +as asked for", result.stdout, re.M)
    result = run("train", table, *options, "--drop", "length", "--categorical", "width")
    assert re.search(r"^width +category", result.stdout, re.M)


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("7", "regression", "the target 'y' is 7 in every row"),
        ("7", "classification", "has one class only"),
        ("abc", "regression", "line 2: the target 'y' is \"abc\", which is not a number"),
    ],
)
def test_a_dry_run_refuses_the_targets_that_training_refuses(
    tmp_path: Path, target: str, task: str, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{row}.5,{target}\n" for row in range(30)))
    for option in (["--quiet"], ["--dry-run"]):
        assert message in refused("train", path, "--target", "y", "--task", task, *option)


def test_targets_by_place_and_tables_without_header(run: Run, tmp_path: Path) -> None:
    rows = flowers(120, seed=0)
    path = tmp_path / "t.csv"
    lines = [",".join(map(str, row)) for row in zip(*rows.values(), strict=True)]
    path.write_text("\n".join(lines))
    for target in ("2", "-1", "x2"):
        result = run(
            "train", path, "--no-header", "--target", target, *FAST, "--out", tmp_path / target
        )
        assert facts(result.stdout)["task"] == "classification of 'x2', 3 classes"
    found = run("evaluate", tmp_path / "2", path, "--no-header")
    assert float(scores(found.stdout)["accuracy"][0]) > 0.7


def test_whole_groups_and_the_latest_rows_are_set_apart(run: Run, tmp_path: Path) -> None:
    rows = {
        **flowers(200, seed=0),
        "who": [f"p{i % 20}" for i in range(200)],
        "year": [*range(200)],
    }
    write_csv(tmp_path / "t.csv", rows)
    arguments = ("train", tmp_path / "t.csv", "--target", "kind", *FAST)
    said = run(*arguments, "--group", "who").stdout
    assert re.search(r"\b(30|40) to test", facts(said)["rows"])
    assert facts(said)["columns"].endswith(", and 1 left out")
    timed = facts(run(*arguments, "--time", "year").stdout)["rows"]
    assert "30 to test" in timed
    assert "by group or by time" in refused(*arguments, "--group", "who", "--time", "year")


def test_small_tables_have_no_test_rows(run: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", flowers(40, seed=0))
    result = run("train", tmp_path / "t.csv", "--target", "kind", *FAST)
    assert "none to test (there are too few rows)" in facts(result.stdout)["rows"].replace(
        "\n", " "
    )
    assert "test  " not in result.stdout


# Checkpoints


def test_a_training_goes_on_from_its_checkpoints(run: Run, table: Path, tmp_path: Path) -> None:
    whole, resumed, kept = tmp_path / "whole", tmp_path / "resumed", tmp_path / "kept"
    longer = ("train", table, "--target", "kind", *FAST, "--patience", "50")
    run(*longer, "--epochs", "30", "--out", whole)
    shorter = run(*longer, "--epochs", "30", "--time-limit", "1e-9", "--checkpoints", kept)
    assert facts(shorter.stdout)["stopped because"] == "the time limit of 1e-09 s has passed"
    assert "earlier training" in refused(*longer, "--epochs", "30", "--checkpoints", kept)
    without_seed = [word for word in longer if word not in ("--seed", "1")]
    again = run(
        *without_seed, "--epochs", "30", "--checkpoints", kept, "--resume", "--out", resumed
    )
    assert again.exit_code == 0 and facts(again.stdout)["seed"] == "1"
    assert TableModel.load(resumed).weights_digest() == TableModel.load(whole).weights_digest()
    assert "--resume needs --checkpoints DIR" in refused(*longer, "--resume")
    assert "another training" in refused(*longer, "--dropout", "0.1", "--epochs", "30",
                                         "--checkpoints", kept, "--resume")  # fmt: skip


# What is said, and where


def test_ctrl_c_in_the_comparison_ends_the_command(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked("kind", "auto", 0.15, 0, {"epochs": 2, "hidden": (4,), "members": 1})
    train, calls = Network.fit, []

    def fit(self: Network, *given: Any, **named: Any) -> History:
        history = train(self, *given, **named)
        calls.append(history)
        history.interrupted = len(calls) == 2
        return history

    monkeypatch.setattr(Network, "fit", fit)
    learned = learn(Work.of(as_frame(table), asked), asked)
    assert learned.interrupted and len(calls) == 2
    assert "linear model" not in learned.scores and "this model" in learned.scores


@pytest.mark.parametrize("price", ["$1,{}.50", "1.{},50 €", "{},5", "{}.5%", "(1,{})"])
def test_numbers_of_any_notation_are_a_target_without_being_asked_for(
    tmp_path: Path, price: str
) -> None:
    rows = [f'{x};"{price.format(100 + x)}"' for x in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["x;price", *rows]))
    result = run_app("train", tmp_path / "t.csv", "--target", "price", "--dry-run")
    assert "regression of 'price'" in result.stdout


def test_the_linear_model_is_trained_to_its_end(tmp_path: Path) -> None:
    """Too slow a rate would flatter the network beside it."""
    draw = np.random.default_rng(0)
    x, z = draw.normal(size=(2, 240)).round(3)
    kinds = np.array(["a", "b", "c"])[(x + z > -0.6).astype(int) + (x + z > 0.6)]
    write_csv(tmp_path / "t.csv", {"x": x, "z": z, "kind": kinds})
    chosen = {"epochs": 1, "hidden": (4,), "members": 1}
    asked = Asked("kind", "auto", 0.25, 0, chosen)
    work = Work.of(as_frame(tmp_path / "t.csv"), asked)
    assert learn(work, asked).scores["linear model"]["accuracy"] >= 0.9


def test_events_are_lines_of_json(run: Run, table: Path) -> None:
    result = run("train", table, "--target", "kind", *FAST[:-1], "--log", "json")
    events = [json.loads(line) for line in result.stderr.splitlines()]
    kinds = [event["event"] for event in events]
    count = kinds.count("epoch")
    assert kinds == ["schema", "start", *["epoch"] * count, "end", "result"]
    epochs = [event for event in events if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == list(range(1, count + 1))
    assert epochs[-1]["validation_loss"] < epochs[0]["validation_loss"]
    assert set(events[-1]["scores"]) == {"this model", "linear model", "majority class"}
    assert facts(result.stdout)["seed"] == "1"


def test_what_is_wrong_with_the_table_is_said(run: Run, tmp_path: Path) -> None:
    rows = houses(120, seed=0)
    write_csv(tmp_path / "t.csv", {**rows, "tax": rows["price"] * 0.01})
    result = run("train", tmp_path / "t.csv", "--target", "price", *FAST[:-1])
    assert re.search(
        r"^note: leaking target: column 'tax' alone tells the target", result.stderr, re.M
    )
    assert "leaking" not in result.stdout


class Page(HTMLParser):
    """Counts tags, and collects what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.fetched += [str(value) for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("name", "target"), [("flowers", "kind"), ("houses", "price")])
def test_the_report_is_one_page(
    run: Run, models: Path, tmp_path: Path, name: str, target: str
) -> None:
    pytest.importorskip("matplotlib", reason="charts need the extra plots")
    path = tmp_path / "r.html"
    table = models / f"{name}.csv"
    result = run("train", table, "--target", target, *FAST, "--report", path)
    assert result.exit_code == 0, result.stderr
    text, page = path.read_text(), Page()
    page.feed(text)
    assert not page.open and "script" not in page.seen
    assert page.fetched and all(
        each.startswith("data:image/svg+xml;base64,") for each in page.fetched
    )
    shown = ["Scores", "Columns", "Training", "worth", "most wrong", "The same again"]
    shown += ["Confusion", "Calibration"] if name == "flowers" else ["residuals"]
    for head in shown:
        assert re.search(f"<h2>[^<]*{head}", text), head
    assert "<th>actual</th><th>predicted</th>" in text and "The first" not in text
    command = re.search(r"<pre>(.*?)</pre>", text).group(1)
    assert command.startswith(f"chainrule train {table} --target {target} ")
    assert "--seed 1" in command and "--epochs 20" in command and "--report" in command


def test_the_report_escapes_what_the_table_says(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="charts need the extra plots")
    rows = flowers(120, seed=0)
    hostile = {"<script>alert(1)</script>": rows["length"], "w\x1b[31m": rows["width"]}
    write_csv(tmp_path / "t.csv", {**hostile, "kind": [f"<b>{k}" for k in rows["kind"]]})
    path = tmp_path / "r.html"
    result = run("train", tmp_path / "t.csv", "--target", "kind", *FAST, "--report", path)
    assert result.exit_code == 0, result.stderr
    text = path.read_text()
    assert "<script" not in text and "<b>" not in text and "\x1b" not in text
    assert "&lt;script&gt;" in text


def test_the_report_says_of_which_columns_it_knows_the_worth(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="charts need the extra plots")
    for module in ("judging", "report"):
        monkeypatch.setattr(f"chainrule.cli.{module}.SHUFFLED_COLUMNS", 1)
    path = tmp_path / "r.html"
    result = run("train", table, "--target", "kind", *FAST, "--report", path)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"\(The first 1 of \d+ columns\.\)", path.read_text())


def test_a_report_without_matplotlib_is_refused_at_once(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainrule.cli.report.find_spec", lambda name: None)
    message = refused("train", table, "--target", "kind", *FAST, "--report", tmp_path / "r.html")
    assert message == '--report needs an optional package: pip install "chainrule[plots]"'


# Predictions


def test_predictions_are_in_the_targets_own_words(run: Run, models: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "new.csv", new := flowers(60, seed=7))
    out = tmp_path / "predictions.csv"
    result = run("predict", models / "flowers.chainrule", tmp_path / "new.csv", "--out", out)
    assert result.exit_code == 0 and facts(result.stdout)["rows"] == "60"
    found = read_table(out)
    assert found.names == ("prediction", *[f"probability {label}" for label in LABELS], "flags")
    shares = found.numbers(found.names[1:-1])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert found.target("prediction").tolist() == [LABELS[i] for i in shares.argmax(axis=1)]
    assert np.mean(found.target("prediction") == new["kind"]) > 0.8
    streamed = run("predict", models / "flowers.chainrule", tmp_path / "new.csv")
    assert streamed.stdout == out.read_text() and streamed.stderr == ""


def test_columns_are_found_by_name(run: Run, models: Path, tmp_path: Path) -> None:
    """Another order, a further column of words, no target: the same predictions."""
    rows = flowers(30, seed=8)
    shuffled = {"note": ["words"] * 30, "width": rows["width"], "length": rows["length"]}
    outputs = []
    for name, columns in (("plain", rows), ("shuffled", shuffled)):
        write_csv(tmp_path / f"{name}.csv", columns)
        outputs.append(
            run("predict", models / "flowers.chainrule", tmp_path / f"{name}.csv").stdout
        )
    assert outputs[0] == outputs[1]


def test_columns_are_copied_in_front(run: Run, models: Path, tmp_path: Path) -> None:
    rows = flowers(5, seed=3)
    names = ["=1+1", "b", "@c", "", "-5"]
    path = tmp_path / "t.csv"
    text = ["name,length,width"]
    pairs = zip(names, rows["length"], rows["width"], strict=True)
    path.write_text("\n".join([*text, *[f"{name},{x},{w}" for name, x, w in pairs]]))
    model = models / "flowers.chainrule"
    lines = run("predict", model, path, "--id", "name").stdout.splitlines()
    assert lines[0].startswith("name,prediction,")
    assert [line.split(",")[0] for line in lines[1:]] == ["'=1+1", "b", "'@c", "", "-5"]
    head = run("predict", model, path, "--keep").stdout.splitlines()[0]
    assert head.startswith("name,length,width,prediction,")
    assert "unknown column" in refused("predict", model, path, "--id", "nmae")
    path.write_text("prediction,length,width\n1,2,3\n")
    assert "has a column 'prediction' already" in refused("predict", model, path, "--keep")


def test_intervals_and_flags(run: Run, models: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text("area,age\n100,10\n,10\n1e6,10\n")
    lines = run("predict", models / "houses.chainrule", new).stdout.splitlines()
    assert lines[0] == "prediction,low,high,flags"
    cells = [line.split(",") for line in lines[1:]]
    for row in cells:
        assert float(row[1]) < float(row[0]) < float(row[2])
    assert cells[0][3] == "" and cells[1][3] == "missing" and "outside" in cells[2][3]


def test_large_tables_are_predicted_in_parts(
    run: Run, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "new.csv", flowers(500, seed=9))
    model = models / "flowers.chainrule"
    whole = run("predict", model, tmp_path / "new.csv").stdout
    monkeypatch.setattr("chainrule.data.csv._BLOCK_CELLS", 3 * 64)
    parts = run("predict", model, tmp_path / "new.csv")
    assert [line.rsplit(",", 5)[0] for line in parts.stdout.splitlines()] == [
        line.rsplit(",", 5)[0] for line in whole.splitlines()
    ]
    (tmp_path / "new.csv.gz").write_bytes(gzip.compress((tmp_path / "new.csv").read_bytes()))
    assert run("predict", model, tmp_path / "new.csv.gz").stdout == parts.stdout


def test_a_bad_row_further_on_leaves_no_file(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainrule.data.csv._BLOCK_CELLS", 2 * 50)
    path, out = tmp_path / "t.csv", tmp_path / "p.csv"
    path.write_text("length,width\n" + "1,2\n" * 200 + "1,2,3\n")
    message = refused("predict", models / "flowers.chainrule", path, "--out", out)
    assert "line 202" in message and not out.exists()


def test_evaluation_compares_with_the_baseline(run: Run, models: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "new.csv", houses(50, seed=3))
    result = run("evaluate", models / "houses.chainrule", tmp_path / "new.csv")
    model = TableModel.load(models / "houses.chainrule").model
    expected = model.scores(*target_from(as_frame(tmp_path / "new.csv"), "price"))
    found = scores(result.stdout)
    assert facts(result.stdout)["rows"] == "50" and facts(result.stdout)["target"] == "'price'"
    assert found["test"] == ["this model", "mean of the target, when trained"]
    assert (
        found["RMSE"][0] == f"{expected['rmse']:.4g}" and found["R²"][0] == f"{expected['r2']:.4g}"
    )


def test_accuracy_and_log_loss_are_counted(run: Run, models: Path) -> None:
    found = scores(run("evaluate", models / "flowers.chainrule", models / "flowers.csv").stdout)
    table = read_table(models / "flowers.csv")
    model = TableModel.load(models / "flowers.chainrule").model
    p = model.predict(as_frame(table)).probabilities
    truth = np.array([LABELS.index(kind) for kind in table.target("kind")])
    loss = -np.mean(np.log(p[np.arange(len(truth)), truth]))
    assert found["accuracy"][0] == f"{np.mean(p.argmax(axis=1) == truth):.4g}"
    assert found["log loss"][0] == f"{loss:.4g}"


def test_rows_of_classes_that_were_not_learned_count_as_wrong(
    run: Run, models: Path, tmp_path: Path
) -> None:
    rows = flowers(40, seed=3)
    kinds = ["oak" if place in (3, 4, 9) else kind for place, kind in enumerate(rows["kind"])]
    write_csv(tmp_path / "all.csv", {**rows, "kind": kinds})
    known = [place for place, kind in enumerate(kinds) if kind != "oak"]
    write_csv(
        tmp_path / "known.csv", {name: [each[k] for k in known] for name, each in rows.items()}
    )
    model = models / "flowers.chainrule"
    whole, part = (
        run("evaluate", model, tmp_path / f"{name}.csv").stdout for name in ("all", "known")
    )
    said = "3 rows of other classes (1: oak), which count as wrong and in no log loss or AUC"
    assert facts(whole)["rows"] == "40" and said in " ".join(whole.split())
    assert "other classes" not in part
    found, without = (
        TableModel.load(model).model.scores(*target_from(as_frame(tmp_path / name), "kind"))
        for name in ("all.csv", "known.csv")
    )
    assert found["accuracy"] == pytest.approx(without["accuracy"] * 37 / 40)
    assert found["log_loss"] == pytest.approx(without["log_loss"])
    assert scores(whole)["accuracy"][0] == f"{found['accuracy']:.4g}"


def test_a_class_of_the_latest_rows_only_ends_no_training(run: Run, tmp_path: Path) -> None:
    rows = flowers(120, seed=5)
    kinds = [*rows["kind"][:-2], "oak", "oak"]
    write_csv(tmp_path / "t.csv", {**rows, "kind": kinds, "day": [*range(120)]})
    result = run(
        "train", tmp_path / "t.csv", "--target", "kind", "--time", "day", "--epochs", 2,
        "--layers", "4", "--members", 1, "--report", tmp_path / "r.html",
    )  # fmt: skip
    assert result.exit_code == 0 and "accuracy" in scores(result.stdout)
    assert facts(result.stdout)["not learned"].startswith("2 rows of other classes (1: oak)")


@pytest.mark.parametrize("more", ["--quiet", "--dry-run"])
def test_rows_to_test_of_no_class_that_is_learned_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    rows = flowers(120, seed=5)
    kinds = [*rows["kind"][:-18], *["oak"] * 18]
    write_csv(tmp_path / "t.csv", {**rows, "kind": kinds, "day": [*range(120)]})
    monkeypatch.setattr("chainrule.estimators.table_learning.learn", None)
    said = refused("train", tmp_path / "t.csv", "--target", "kind", "--time", "day", more)
    assert "none of the 18 rows to test (the latest by 'day')" in said


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
    assert said["of the weights"] == TableModel.load(path).weights_digest()


def test_the_task_can_be_chosen(run: Run, tmp_path: Path) -> None:
    rows = flowers(100, seed=0)
    write_csv(tmp_path / "t.csv", {**rows, "kind": (rows["length"] > 5).astype(int)})
    arguments = ("train", tmp_path / "t.csv", "--target", "kind", *FAST)
    assert "classification" in run(*arguments).stdout
    assert "regression" in run(*arguments, "--task", "regression").stdout


def test_early_stopping_says_why(run: Run, table: Path) -> None:
    options = ("--patience", "2", "--learning-rate", "0.1", "--epochs", "300", "--layers", "16",
               "--members", "1", "--seed", "0", "--quiet")  # fmt: skip
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
    model = TableModel.load(models / "flowers.chainrule")
    digests = [model.weights_digest()]
    for layer in ("hidden1", "output"):
        for name in ("W", "b"):
            array = np.array(getattr(model.network[layer], name))
            array.flat[0] = np.nextafter(array.flat[0], np.inf)
            setattr(model.network[layer], name, array)
            digests.append(model.weights_digest())
    assert len(set(digests)) == len(digests)
