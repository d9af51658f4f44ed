"""Table models that an older version wrote are read for ever: columns, labels, flags, intervals."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from chainrule.persist.format import VERSION
from tests.estimators.golden_tables import ESTIMATORS, numbers, path, table

# Of the files as they were written: they are never written again.
DIGESTS = {
    ("classifier", "1"): "e1cb412e3b529f457df1bbb07f85be06cc26fe5ed34f14d3dffab72559e28915",
    ("regressor", "1"): "706a124f573c75b226028ea05db2e6aa583267f66ea3811c8e91856888f7f676",
}
NUMBERS = {
    ("classifier", "1"): [
        [0.3329479157958998, 0.33132498268732696, 0.3357271015167732],
        [0.33278791507014094, 0.3342214410133499, 0.3329906439165091],
        [0.33118643456789815, 0.33643585540561927, 0.33237771002648264],
        [0.33307280733396477, 0.337458277200772, 0.3294689154652632],
    ],
    ("regressor", "1"): [
        [50.44815181439954, 42.69912813786962, -2.5693233819933425, 103.46562701079242],
        [45.82951192137322, 23.51174911290694, 16.636092060610007, 75.02293178213642],
        [41.390183333591864, 23.21515639758843, 12.565028531474752, 70.21533813570898],
        [47.689747557556544, 23.172200019342093, 18.91792964585202, 76.46156546926107],
    ],
}


def test_every_version_has_its_files() -> None:
    versions = [str(n) for n in range(1, int(VERSION) + 1)]
    assert {*DIGESTS} == {*NUMBERS} == {(name, each) for name in ESTIMATORS for each in versions}


@pytest.mark.parametrize(("name", "version"), DIGESTS)
def test_a_file_of_any_version_predicts_what_it_did(name: str, version: str) -> None:
    file = path(name, version)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == DIGESTS[name, version]
    model = ESTIMATORS[name][0].load(file)
    np.testing.assert_allclose(numbers(name, model), NUMBERS[name, version], rtol=1e-4, atol=1e-4)
    kinds = {each.name: each.kind for each in model.schema_.columns}
    assert kinds == {
        "size": "number", "fee": "number", "colour": "category", "name": "text", "day": "date",
        "new": "boolean", "always": "drop",
    }  # fmt: skip
    flags = model.flags({**table(), "colour": ["unseen"] * 120})
    assert flags["unknown"].all() and flags["missing"].any()
    assert model.facts_["rows"] + model.facts_["held_out"] == 120
    if name == "classifier":
        assert model.classes_.tolist() == ["groß", "klein", "mittel"]
