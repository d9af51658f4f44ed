"""Settings outside their range are refused in one sentence, whatever record they are in."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import optim
from chainrule.errors import ParameterError
from chainrule.optim import LBFGS, RULES, SGD, Adam, Nesterov, ReduceOnPlateau, Rprop, schedules
from chainrule.optim.settings import BELOW_ONE, COUNT, FLAG, Optional, Pair, Range, Settings

SCHEDULES = (
    schedules.Constant,
    schedules.StepDecay,
    schedules.Exponential,
    schedules.InverseTime,
    schedules.Cosine,
    schedules.OneCycle,
    schedules.WarmUp,
)
REQUIRED = {"learning_rate": 0.1, "every": 3, "duration": 4, "decay": 0.5}
RECORDS = (*RULES, LBFGS, ReduceOnPlateau, *SCHEDULES)
# no setting can be any of these
ABSURD = (
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -0.5,
    "0.1",
    [0.5],
    (1.0, 2.0, 3.0),
    1j,
    10**400,
    object(),
)


def _valid(record: type[Settings]) -> dict[str, Any]:
    return {
        field.name: REQUIRED[field.name]
        for field in dataclasses.fields(record)
        if field.default is dataclasses.MISSING
    }


@pytest.mark.parametrize("record", RECORDS)
def test_every_setting_of_every_record_is_checked(record: type[Settings]) -> None:
    for field in dataclasses.fields(record):
        for value in ABSURD:
            with pytest.raises(ParameterError) as caught:
                record(**_valid(record) | {field.name: value})
            message = str(caught.value)
            assert message.startswith(f"{record.__name__}: {field.name} must be ")
            assert message.endswith(f", got {value!r}") and "\n" not in message


@pytest.mark.parametrize("record", RECORDS)
def test_every_record_is_frozen_and_compares_by_value(record: type[Settings]) -> None:
    made = record(**_valid(record))
    assert made == record(**_valid(record))
    assert hash(made) == hash(record(**_valid(record)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(record)[0].name, 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(-1.0), "Adam: learning_rate must be a float > 0 or a schedule, got -1.0"),
        (lambda: Adam(True), "Adam: learning_rate must be a float > 0 or a schedule, got True"),
        (
            lambda: Adam(betas=(0.9, 1.0)),
            r"Adam: betas must be a pair of a float in \[0, 1\) and a float in \[0, 1\), "
            r"got \(0.9, 1.0\)",
        ),
        (lambda: SGD(nesterov=1), "SGD: nesterov must be True or False, got 1"),
        (lambda: SGD(nesterov=True), "SGD: nesterov needs momentum > 0 and dampening = 0"),
        (lambda: Nesterov(dampening=0.1), "Nesterov: nesterov needs .* dampening=0.1"),
        (lambda: Rprop(schedules.Constant(0.1)), "Rprop: learning_rate must be a float > 0, got"),
        (lambda: Rprop(step_sizes=(2.0, 1.0)), "a smallest and a largest size, got"),
        (lambda: LBFGS(2.5), "LBFGS: max_iterations must be an int >= 1, got 2.5"),
        (
            lambda: schedules.Cosine(0.1, per="batch"),
            "Cosine: per must be 'epoch' or 'step', got 'batch'",
        ),
        (
            lambda: schedules.Cosine(0.1, duration=0),
            "Cosine: duration must be None or an int >= 1, got 0",
        ),
        (
            lambda: schedules.Cosine(0.1)(0),
            r"Cosine needs to know how long training takes: give Cosine\(duration=...\)",
        ),
        (lambda: optim.clipping.clip_by_value([], 0.0), "clip_by_value: limit must be a float > 0"),
        (
            lambda: optim.clipping.clip_by_global_norm([], math.nan),
            "clip_by_global_norm: limit must be a float > 0, got nan",
        ),
    ],
)
def test_messages(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=f"^{message}" if message[0].isupper() else message):
        make()


def test_numbers_of_numpy_become_plain_and_keep_nothing_wide() -> None:
    optimizer = Adam(np.float64(0.1), betas=[np.float32(0.5), 0], amsgrad=np.bool_(True))
    assert optimizer == Adam(0.1, betas=(0.5, 0.0), amsgrad=True)
    assert [type(optimizer.learning_rate), *map(type, optimizer.betas)] == [float] * 3
    parameter = np.ones(2, np.float32)
    moved, _ = optimizer.update(parameter, parameter, optimizer.init(parameter))
    assert moved.dtype == np.float32


bounds = st.floats(-10, 10)


@given(low=bounds, high=bounds, open_low=st.booleans(), open_high=st.booleans(), value=bounds)
def test_a_range_takes_what_its_text_says(
    low: float, high: float, open_low: bool, open_high: bool, value: float
) -> None:
    above = low < value if open_low else low <= value
    below = value < high if open_high else value <= high
    kind = Range(low, high, open_low, open_high)
    if above and below:
        assert kind.accept(value) == value
    else:
        with pytest.raises(ValueError):
            kind.accept(value)
    opening, closing = str(kind).removeprefix("a float in ")[0], str(kind)[-1]
    assert (opening, closing) == ("(" if open_low else "[", ")" if open_high else "]")


def test_texts_of_kinds() -> None:
    assert str(Optional(Pair(BELOW_ONE, COUNT))) == (
        "None or a pair of a float in [0, 1) and an int >= 1"
    )
    assert str(FLAG) == "True or False"
