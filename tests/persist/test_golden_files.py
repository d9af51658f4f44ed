"""What an older version wrote is read for ever, and trained on."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import FileFormatError
from chainrule.persist.format import VERSION
from tests.persist import golden_files
from tests.persist.golden_files import EPOCHS, HALF, checkpoint_file, model_file

# Of the files as they were written: they are never written again.
DIGESTS = {
    "1": (
        "13d7f4445e1fd9049201bef6c9292e49c54d7e6b24aabc8c46722b78ab41b743",
        "41b2d774f1e6e9c8a41e2397965e883fecea319456e45cd1c80ac39ed78b40a3",
    ),
}
PREDICTIONS = {
    "1": [
        [0.6657684445381165, 0.33423158526420593],
        [0.3570263385772705, 0.6429736018180847],
        [0.09246313571929932, 0.9075368642807007],
        [0.6685250997543335, 0.3314749002456665],
    ],
}


def test_every_version_has_its_files() -> None:
    assert [*DIGESTS] == [*PREDICTIONS] == [str(n) for n in range(1, int(VERSION) + 1)]


@pytest.mark.parametrize("version", DIGESTS)
def test_the_files_are_those_that_were_written(version: str) -> None:
    paths = model_file(version), checkpoint_file(version)
    found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert tuple(found) == DIGESTS[version]


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("version", DIGESTS)
def test_a_model_predicts_what_it_predicted(version: str, engine: str) -> None:
    model = cr.load(model_file(version))
    predicted = model.predict(golden_files.X[:4], engine=engine)
    np.testing.assert_allclose(predicted, PREDICTIONS[version], rtol=1e-5)
    assert [layer.name for layer in model.layers][:3] == ["standardize", "eins", "größe"]
    assert model.extra == {"notes": ["ü", None, 1.5, {"deep": True}]}
    assert model.history is not None and model.history.epochs == HALF
    assert model.history.seed == 11 and model.history["validation_accuracy"].shape == (HALF,)


@pytest.mark.parametrize("version", DIGESTS)
def test_a_checkpoint_goes_on(version: str, tmp_path: Path) -> None:
    shutil.copy(checkpoint_file(version), tmp_path / "checkpoint-00000007.chainrule")
    resumed = golden_files.trained(EPOCHS, tmp_path, resume=True)
    whole = golden_files.trained(EPOCHS, tmp_path / "whole")
    assert resumed.history is not None and resumed.history.epochs == EPOCHS
    np.testing.assert_allclose(
        resumed.predict(golden_files.X), whole.predict(golden_files.X), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("version", DIGESTS)
def test_neither_is_taken_for_the_other(version: str) -> None:
    with pytest.raises(FileFormatError, match="it holds a checkpoint, not a network"):
        cr.load(checkpoint_file(version))
