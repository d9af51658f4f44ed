"""scikit-learn's own tests of its MLP, run on ours: what they check is what users rely on."""

from __future__ import annotations

import importlib.util
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.exceptions import ConvergenceWarning

from chainrule.estimators import MLPClassifier, MLPRegressor

HOME = "sklearn.neural_network.tests.test_mlp"

# What a test checks that is no public behaviour.
PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs, scikit-learn's hand-written backward pass; ours is a"
    " graph transform, checked against finite differences in tests/laws",
}


def _with_ours() -> types.ModuleType:
    """A copy of scikit-learn's test module, in which the two classes are ours."""
    spec = importlib.util.find_spec(HOME)
    if spec is None or spec.origin is None:
        pytest.skip("scikit-learn is installed without its tests", allow_module_level=True)
    module = types.ModuleType("sklearn_mlp_tests_on_ours")
    source = Path(spec.origin).read_text(encoding="utf-8")
    theirs = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
    ours = "from chainrule.estimators import MLPClassifier, MLPRegressor"
    assert source.count(theirs) == 1, "scikit-learn imports its classes in another way now"
    exec(compile(source.replace(theirs, ours), spec.origin, "exec"), module.__dict__)
    return module


_module = _with_ours()
assert _module.MLPClassifier is MLPClassifier
assert _module.MLPRegressor is MLPRegressor

globals().update(
    {
        name: test
        for name, test in vars(_module).items()
        if name.startswith("test_") and name not in PRIVATE
    }
)


@pytest.fixture
def global_random_seed() -> int:
    """What scikit-learn's own conftest gives where no other seed is asked for."""
    return 42


@pytest.fixture(autouse=True)
def warnings_as_in_scikit_learn() -> Iterator[None]:
    """Trainings that are cut short warn, and scikit-learn's tests do not mind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def test_every_private_test_is_still_there() -> None:
    assert all(name in vars(_module) for name in PRIVATE)
