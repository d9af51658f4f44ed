"""Several devices: the same training, however many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax", reason="the xla engine needs JAX")

import jax

from chainrule.engines.xla.engine import XlaEngine
from chainrule.errors import EngineError, ParameterError
from chainrule.networks import Network
from chainrule.nn import Activation, BatchNorm, Dropout, Linear
from chainrule.optim import SGD
from tests.engines.test_programs import keeping

generator = np.random.default_rng(0)
X = generator.standard_normal((203, 6)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)


def trained(engine: Any, dtype: str = "float32", **options: Any) -> tuple[Network, Any]:
    """A network with batch norm and dropout, after batches of 37 rows and a tail of 18."""
    layers = [Linear(6, 16), BatchNorm(16), Activation("elu"), Dropout(0.3), Linear(16, 3)]
    model = Network(layers, seed=1, dtype=dtype)
    settings = {"epochs": 4, "batch_size": 37, "seed": 7, "optimizer": SGD(0.1), **options}
    return model, model.fit(
        X, LABELS, loss="cross_entropy", engine=engine, progress=False, **settings
    )


def check_same(engine: Any, dtype: str, tolerance: float) -> None:
    expected, found = trained("reference", dtype)[1], trained(engine, dtype)[1]
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=tolerance)


@pytest.mark.parametrize("devices", [*[pytest.param(n, marks=pytest.mark.slow) for n in (2, 4)], 8])
def test_the_loss_curve_is_that_of_one_device(devices: int) -> None:
    check_same(XlaEngine(devices=devices), "float64", 1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_the_loss_curve_is_the_same_in_single_precision(devices: int) -> None:
    check_same(XlaEngine(devices=devices), "float32", 2e-5)


def test_units_are_divided_where_a_network_is_too_wide() -> None:
    engine = XlaEngine(devices=8, split_units=4)
    check_same(engine, "float64", 1e-11)
    for axis, part in (-1, (6, 4)), (-2, (6, 16)), (None, (6, 16)):
        way = engine.devices.by_units((6, 16), axis)
        (weights,) = engine.devices.put([np.ones((6, 16))], [way])
        assert {shard.data.shape for shard in weights.addressable_shards} == {part}


@pytest.mark.slow
def test_streamed_rows_are_divided() -> None:
    check_same(XlaEngine(devices=2, data_bytes=5000), "float64", 1e-11)


def test_checkpoints_of_two_devices_resume_on_one(tmp_path: Path) -> None:
    two, again = XlaEngine(devices=2), {"checkpoints": tmp_path, "batch_size": 29}
    whole, expected = trained(two, "float64", batch_size=29)
    trained(two, "float64", epochs=2, **again)
    model, found = trained(XlaEngine(devices=1), "float64", resume=True, **again)
    assert found.epochs == expected.epochs == 4
    np.testing.assert_allclose(found.step_losses, expected.step_losses, rtol=1e-11)
    np.testing.assert_allclose(model.layers[0].values["W"], whole.layers[0].values["W"], rtol=1e-9)


def test_rows_are_released_with_the_arrays_they_came_from() -> None:
    engine, rows = XlaEngine(devices=1), np.ones((4, 2))
    engine.run(keeping(), [np.eye(2)], [rows], seed=0, epochs=range(1))
    assert len(engine._data) == 1
    del rows
    assert not engine._data


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"devices": 9}, EngineError, "9 devices were asked for, and JAX finds 8 of kind 'cpu'"),
        ({"devices": 0}, EngineError, "0 devices were asked for, and JAX finds 8 of kind 'cpu'"),
        ({"devices": 8, "split_units": 3}, ParameterError, "8 devices cannot be divided by"),
        ({"split_units": 0}, ParameterError, "8 devices cannot be divided by split_units=0"),
    ],
)
def test_devices_that_are_missing_are_named(options: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        trained(XlaEngine(**options))


@pytest.mark.parametrize("device", ["gpu", "tpu"])
def test_kinds_of_device_that_are_missing_are_named(device: str) -> None:
    if jax.default_backend() == device:
        pytest.skip(f"there is a {device}")
    with pytest.raises(EngineError, match=f"there is no device '{device}' that JAX can use"):
        trained(XlaEngine(device=device))


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    engine = XlaEngine(devices=1)
    monkeypatch.setattr(engine.devices.__class__, "put", full)
    with pytest.raises(EngineError, match="too little memory for this training; take smaller"):
        trained(engine)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_gpu_takes_the_same_path(precision: str) -> None:
    if jax.default_backend() != "gpu":
        pytest.skip("needs a GPU")
    tolerance = {"float32": 2e-5, "tf32": 2e-2, "bfloat16": 1e-1}[precision]
    check_same(XlaEngine(device="gpu", devices=1, precision=precision), "float32", tolerance)
