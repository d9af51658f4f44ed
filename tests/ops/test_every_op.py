"""Laws about every registered operation; each is shown to catch a planted defect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.plan import make_plan
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import DtypeError, GraphError
from chainrule.graph.graph import Graph
from chainrule.graph.op import Algebra, Kind, Op, register, registered
from chainrule.graph.text import parse_graph, print_graph
from chainrule.graph.verify import verify
from chainrule.graph.walk import substitute
from chainrule.ops import elementwise as ew
from chainrule.ops.build import Operation, apply, astype, constant
from chainrule.shapes import DTYPES, FLOAT32, FLOAT64, Array, TensorType, is_float
from chainrule.testing import check_gradients
from chainrule.transforms.gradient import adjoints
from tests.ops.samples import OPERATIONS, Sample, distinct, needed_types, numbers, samples
from tests.planting import planted

every_op = pytest.mark.parametrize("name", OPERATIONS)
ELEMENTWISE = [name for name in OPERATIONS if registered()[name].partials]


def same(a: Any, b: Any) -> bool:
    """Whether two arrays are of one type and agree bit for bit."""
    a, b = np.asarray(a), np.asarray(b)
    return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()


def test_an_op_without_a_recipe_is_named() -> None:
    with (
        planted("reshape") as name,
        pytest.raises(AssertionError, match="'defective_reshape' has no recipe"),
    ):
        samples(name)


# Types


def check_types(name: str) -> None:
    for sample in samples(name):
        inferred = sample.op.infer(
            *[TensorType(x.dtype, x.shape) for x in sample.arrays], **sample.attributes
        )
        computed = sample.value
        assert inferred == (computed.dtype, computed.shape), (name, sample.attributes)
        assert sample.on(sample.leaves()).type == inferred


@every_op
def test_the_type_rule_gives_the_type_that_numpy_gives(name: str) -> None:
    check_types(name)


def test_a_wrong_type_rule_is_caught() -> None:
    with (
        planted("sum", infer=lambda x, axes, keepdims: x) as name,
        pytest.raises(AssertionError),
    ):
        check_types(name)


def random_shapes(generator: np.random.Generator, count: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast together, with sizes 0 and 1 among them."""
    base = generator.choice([0, 1, 1, 2, 3], size=generator.integers(0, 4))
    shapes = []
    for _ in range(count):
        kept = base[generator.integers(0, len(base) + 1) :]
        shapes.append(tuple(int(n) if generator.random() < 0.7 else 1 for n in kept))
    return shapes


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_types_agree_with_numpy_on_all_dtypes_and_random_shapes(name: str) -> None:
    op, generator = registered()[name], np.random.default_rng(1)
    count = len(op.partials)
    for dtype in DTYPES.values():
        for other in DTYPES.values():
            shapes = random_shapes(generator, count)
            dtypes = [dtype, other, other][:count]
            arrays = [
                numbers(generator, s, d) if d.kind == "f" else np.ones(s, d)
                for s, d in zip(shapes, dtypes, strict=True)
            ]
            try:
                node = apply(op, *[cr.input(array.shape, array.dtype) for array in arrays])
            except DtypeError:
                with pytest.raises(DtypeError):
                    apply(op, *arrays)
                continue
            value = np.asarray(apply(op, *arrays))
            assert node.type == (value.dtype, value.shape), (name, dtypes, shapes)
            assert value.shape == np.broadcast_shapes(*shapes)
            expected = numpy_type(name, arrays)
            assert expected in (None, value.dtype), (name, dtypes)


def numpy_type(name: str, arrays: list[Array]) -> Any:
    """The type that NumPy's function of this name gives, where the two do not differ on purpose.

    Truth values count as integers here, and functions of integers that give reals give float64.
    """
    function = getattr(np, name, None)
    promoted = np.result_type(*arrays)
    if not isinstance(function, np.ufunc) or function.nin != len(arrays) or promoted.kind == "b":
        return None
    try:
        with np.errstate(all="ignore"):
            found = function(*arrays).dtype
    except TypeError:
        return None
    return None if found == np.float16 or (found.kind == "f" and promoted.kind != "f") else found


def test_python_scalars_are_weak_and_numpy_scalars_are_strong() -> None:
    x = cr.input((3,), np.float32)
    assert (x * 2.0).dtype == np.float32
    assert (2 * x).dtype == np.float32
    assert (x * np.float64(2)).dtype == np.float64
    assert (x * cr.constant(2.0)).dtype == np.float64
    assert (cr.input((3,), np.int8) + 1).dtype == np.int8
    assert (cr.input((3,), np.int8) + 1.0).dtype == np.float64
    assert (cr.input((3,), bool) + 1).dtype == np.int64
    with pytest.raises(DtypeError):
        cr.input((3,), np.int8) + 300


def test_arrays_in_another_byte_order_are_taken() -> None:
    swapped = np.array([1.0, 2.0], ">f8")
    assert cr.constant(swapped).dtype is FLOAT64
    assert cr.exp(swapped).tolist() == np.exp([1.0, 2.0]).tolist()


# Meaning: arrays and nodes


def check_evaluation(name: str, engine: ReferenceEngine) -> None:
    """The engine agrees with calling on arrays: into buffers, in place, on strided operands."""
    for sample in samples(name):
        leaves, expected = sample.leaves(), sample.value
        plain = Graph(leaves, (sample.on(leaves),))
        assert same(engine.compile(plain)(sample.arrays)[0], expected), name
        strided = [_strided(array) for array in sample.arrays]
        assert same(engine.compile(plain)(strided)[0], sample.on(strided)), name
        copies = [cr.maximum(leaf, leaf) for leaf in leaves]  # their buffers may be written over
        inner = sample.on(copies)
        kept = Graph(leaves, (cr.concat([cr.reshape(inner, (-1,))]),))
        assert same(engine.compile(kept)(sample.arrays)[0], expected.reshape(-1)), name


def _strided(array: Array) -> Array:
    """The same elements with other strides."""
    if array.ndim == 0:
        return array
    wide = np.repeat(array, 2, axis=-1)[..., ::2]
    return np.asfortranarray(wide) if array.ndim > 1 and array.shape[0] % 2 else wide


@every_op
def test_nodes_and_arrays_compute_the_same_bits(name: str) -> None:
    check_evaluation(name, ReferenceEngine())


def test_a_wrong_function_into_a_buffer_is_caught() -> None:
    def wrong(x: Array, out: Array | None = None) -> Any:
        return np.exp(x + 1e-9, out=out)

    with planted("exp", into=wrong) as name, pytest.raises(AssertionError):
        check_evaluation(name, ReferenceEngine())


def test_the_laws_on_evaluation_do_reach_buffers_and_writing_in_place() -> None:
    x = cr.input((20,))
    inner = cr.exp(cr.maximum(x, x))
    plan = make_plan(Graph((x,), (cr.concat([inner]),)), None)
    slots = [
        plan.buffers[step.buffer].slot for step in plan.instructions if step.buffer is not None
    ]
    assert slots == [0, 0]


# Derivatives


def check_derivatives(name: str) -> None:
    for sample in samples(name):
        exact = sample.value.dtype == FLOAT64 and name != "stop_gradient"
        if exact and any(is_float(x.dtype) for x in sample.arrays):
            check_gradients(lambda *operands, sample=sample: sample.on(operands), *sample.arrays)


@every_op
def test_derivatives_of_first_and_second_order(name: str) -> None:
    check_derivatives(name)


@pytest.mark.parametrize("place", [0, 1])
def test_a_derivative_wrong_by_a_twentieth_of_a_percent_is_caught(place: int) -> None:
    partials: list[Any] = [lambda y, a, b: b, lambda y, a, b: a]
    right = partials[place]
    partials[place] = lambda y, a, b: right(y, a, b) * 1.0005
    with planted("multiply", partials=tuple(partials)) as name, pytest.raises(AssertionError):
        check_derivatives(name)


def test_a_wrong_second_derivative_is_caught() -> None:
    with (
        planted("sin", partials=(lambda y, x: cr.stop_gradient(cr.cos(x)),)) as name,
        pytest.raises(AssertionError, match="order 2"),
    ):
        check_derivatives(name)


@every_op
def test_gradients_have_the_type_of_what_they_are_taken_by(name: str) -> None:
    for sample in samples(name, FLOAT32):
        leaves = sample.leaves()
        reals = [leaf for leaf in leaves if is_float(leaf.dtype)]
        output = sample.on(leaves)
        if is_float(output.dtype):
            for leaf, found in zip(reals, adjoints(cr.sum(output), reals), strict=True):
                assert getattr(found, "type", leaf.type) == leaf.type


# Algebra


def check_flags(op: Op) -> None:
    generator = np.random.default_rng(3)
    for flag, law in LAWS.items():
        if flag in op.algebra:
            for _ in range(5):
                law(op, generator)


def _draw(op: Op, generator: np.random.Generator, count: int) -> list[Array]:
    types = needed_types(op, count)
    return [numbers(generator, (4,), dtype) for dtype in types]


def _commutes(op: Op, generator: np.random.Generator) -> None:
    a, b = _draw(op, generator, 2)
    np.testing.assert_array_equal(apply(op, a, b), apply(op, b, a))


def _associates(op: Op, generator: np.random.Generator) -> None:
    (a, b), (c, _) = _draw(op, generator, 2), _draw(op, generator, 2)
    left, right = apply(op, apply(op, a, b), c), apply(op, a, apply(op, b, c))
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


def _is_idempotent(op: Op, generator: np.random.Generator) -> None:
    operands = _draw(op, generator, len(op.partials))[:1] * len(op.partials)
    once = apply(op, *operands)
    if len(operands) == 1:
        np.testing.assert_array_equal(apply(op, once), once)
    else:
        np.testing.assert_array_equal(once, operands[0])


def _is_odd(op: Op, generator: np.random.Generator) -> None:
    (x,) = _draw(op, generator, 1)
    np.testing.assert_allclose(apply(op, -x), -apply(op, x), rtol=1e-14)


def _is_even(op: Op, generator: np.random.Generator) -> None:
    (x,) = _draw(op, generator, 1)
    np.testing.assert_allclose(apply(op, -x), apply(op, x), rtol=1e-14)


def _combined(
    arrays: tuple[Array, ...], others: tuple[Array, ...], places: list[int]
) -> list[Array]:
    return [
        2 * a - 3 * b if place in places else a
        for place, (a, b) in enumerate(zip(arrays, others, strict=True))
    ]


def _mixed(arrays: tuple[Array, ...], others: tuple[Array, ...], places: list[int]) -> list[Array]:
    return [b if i in places else a for i, (a, b) in enumerate(zip(arrays, others, strict=True))]


def _is_linear_in(name: str, groups: Any) -> None:
    for sample, other in zip(samples(name, seed=1), samples(name, seed=2), strict=True):
        if not is_float(np.asarray(sample.value).dtype):
            continue
        reals = [i for i, x in enumerate(sample.arrays) if is_float(x.dtype)]
        for places in groups(reals):
            together = sample.on(_combined(sample.arrays, other.arrays, places))
            apart = 2 * sample.value - 3 * np.asarray(
                sample.on(_mixed(sample.arrays, other.arrays, places))
            )
            np.testing.assert_allclose(together, apart, rtol=1e-5, atol=1e-5)


def _is_linear(op: Op, generator: np.random.Generator) -> None:
    _is_linear_in(op.name, lambda reals: [reals] if reals else [])


def _is_multilinear(op: Op, generator: np.random.Generator) -> None:
    _is_linear_in(op.name, lambda reals: [[place] for place in reals])


LAWS = {
    Algebra.COMMUTATIVE: _commutes,
    Algebra.ASSOCIATIVE: _associates,
    Algebra.IDEMPOTENT: _is_idempotent,
    Algebra.ODD: _is_odd,
    Algebra.EVEN: _is_even,
    Algebra.LINEAR: _is_linear,
    Algebra.MULTILINEAR: _is_multilinear,
}


def test_there_is_a_law_for_every_flag() -> None:
    assert set(LAWS) == set(Algebra)


@every_op
def test_algebraic_flags_hold(name: str) -> None:
    check_flags(registered()[name])


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("subtract", Algebra.COMMUTATIVE),
        ("divide", Algebra.ASSOCIATIVE),
        ("sin", Algebra.IDEMPOTENT),
        ("exp", Algebra.ODD),
        ("tanh", Algebra.EVEN),
        ("multiply", Algebra.LINEAR),
        ("divide", Algebra.MULTILINEAR),
    ],
)
def test_a_wrong_flag_is_caught(name: str, flag: Algebra) -> None:
    with planted(name, algebra=flag) as defective, pytest.raises(AssertionError):
        check_flags(registered()[defective])


# Text, verifier, documentation


@every_op
def test_the_printed_form_is_read_back(name: str) -> None:
    for sample in samples(name):
        leaves = sample.leaves()
        graph = Graph(leaves, (sample.on(leaves),))
        verify(graph)
        printed = print_graph(graph)
        read = parse_graph(*printed)
        assert print_graph(read) == printed
        back = dict(zip(read.inputs, graph.inputs, strict=True))
        assert substitute(read.outputs, back) == list(graph.outputs)


@pytest.mark.parametrize("name", registered())
def test_every_op_says_what_it_is(name: str) -> None:
    op = registered()[name]
    assert op.summary
    assert "\n" not in op.summary
    assert op.symbol or op.kind is Kind.LEAF


@pytest.mark.parametrize("name", cr.ops.__all__)
def test_every_public_function_says_what_it_does(name: str) -> None:
    function = getattr(cr.ops, name)
    assert function.__doc__
    if not isinstance(function, (Operation, type)) and name not in ("random",):
        assert ">>> " in function.__doc__ or name in WITHOUT_EXAMPLE, name


WITHOUT_EXAMPLE = ("as_node", "dtype_of", "row_count", "shape_of")


def test_two_ops_cannot_share_a_name() -> None:
    with pytest.raises(GraphError, match="'exp' already"):
        register(registered()["exp"])


def test_an_elementwise_op_counts_its_operands() -> None:
    with pytest.raises(TypeError, match="add takes 2 operands, got 3"):
        ew.add(1, 2, 3)


def test_samples_are_what_they_say() -> None:
    """The helpers of these laws keep their margin, and cover size 0, size 1 and broadcasting."""
    values = np.sort(distinct(np.random.default_rng(0), (6, 7)).reshape(-1))
    assert np.diff(values).min() > 0.09
    shapes = {array.shape for sample in samples("add") for array in sample.arrays}
    assert {(0, 3), (1,), (5, 1), ()} <= shapes
    assert astype(constant(1.0), np.float32).dtype == FLOAT32
    assert isinstance(samples("add")[0], Sample)
