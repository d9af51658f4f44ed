"""The network that people train and use."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule import persist
from chainrule.engines.base import EngineChoice, array_kind, remember
from chainrule.errors import MissingInputError, ParameterError, unknown_name
from chainrule.graph.tree import map_tree
from chainrule.networks import layerwise, table
from chainrule.networks.architecture import Architecture
from chainrule.networks.contents import KIND, Contents, built, described, packed, unpacked
from chainrule.networks.prediction import KEPT, Held, Prediction, check_of, outputs, prepared
from chainrule.nn.base import Layer, Mode
from chainrule.ops import random
from chainrule.shapes import FLOAT32, Array, Dtype
from chainrule.training.checkpoints import Checkpoints, Keeper, termination_as_interruption
from chainrule.training.evaluation import BLOCK_ROWS, Evaluator
from chainrule.training.history import History
from chainrule.training.loop import DivergenceWarning, Training
from chainrule.training.memory import require_memory
from chainrule.training.methods import method_of
from chainrule.training.plan import Plan, new_seed
from chainrule.training.preprocessing import fitted
from chainrule.training.snapshot import Snapshot, Tree
from chainrule.training.steps import Regularization
from chainrule.training.streaming import RowSource, require_streamable
from chainrule.training.symptoms import warn_of_target
from chainrule.training.task import prepare
from chainrule.training.watching import watch


class Network:
    """A feed-forward network: layers with names, applied one after the other.

    Parameters
    ----------
    layers : sequence of Layer
        Layers without a name get one from their kind and place.
    seed : int, optional
        What the parameters are drawn from, from 0 to 2**64 - 1; drawn from the operating system
        and kept in ``model.seed`` if None.
    dtype : {"float32", "float64"}
        The element type of all parameters.

    Attributes
    ----------
    layers : tuple of Layer
    architecture : Architecture
        The layers without their numbers: shapes, and the graph they build.
    seed : int
    members : int or None
        How many networks train at once in this one; None for a single network.
    history : History or None
        What the last ``fit`` left behind.
    extra : dict
        Whatever JSON can hold; saved with the model.

    Raises
    ------
    ShapeError
        If a layer cannot take what the one before it gives.
    ParameterError
        If two layers have one name, or a layer belongs to another network.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.nn import Activation, Linear, Network, ReLU, Sigmoid
    >>> model = Network(
    ...     layers=[
    ...         Linear(2, 10, name="input"),
    ...         Activation(ReLU(), name="relu"),
    ...         Linear(10, 1, name="output"),
    ...         Activation(Sigmoid(), name="sigmoid"),
    ...     ],
    ...     seed=0,
    ... )
    >>> model["input"].W.shape
    (2, 10)
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> history = model.fit(X, [0, 1, 1, 0], optimizer="adam", epochs=10, seed=0)
    >>> history.epochs, model.predict([[0.0, 1.0]]).shape
    (10, (1, 1))
    """

    def __init__(
        self, layers: Sequence[Layer], seed: int | None = None, dtype: npt.DTypeLike = FLOAT32
    ) -> None:
        architecture, seed = Architecture(layers, dtype), new_seed(seed)
        self._hold(Contents(architecture, _drawn(architecture, seed), seed, {}, None))

    def _hold(self, contents: Contents) -> None:
        """Become the network that consists of this."""
        self.architecture, snapshot, self.seed, self.extra, self.history = contents
        self.members: int | None = None
        self._lock, self._fitting = Lock(), Lock()
        self._evaluate = Evaluator(self.architecture)
        self._predictions: dict[Any, Prediction] = {}
        self._last: layerwise.Pass | None = None
        self.publish(snapshot)

    @classmethod
    def _of(cls, contents: Contents) -> Network:
        """The network that consists of this; nothing is drawn."""
        model = cls.__new__(cls)
        model._hold(contents)
        return model

    def _contents(self) -> Contents:
        return Contents(self.architecture, self.snapshot(), self.seed, self.extra, self.history)

    # Layers and their arrays

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, in order."""
        return self.architecture.layers

    @property
    def dtype(self) -> Dtype:
        """The element type of all parameters."""
        return self.architecture.dtype

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise unknown_name("layer", name, [str(layer.name) for layer in self.layers])

    @property
    def parameters(self) -> Tree:
        """The current parameters by layer and name: read-only arrays."""
        return self.snapshot().parameters

    @property
    def states(self) -> Tree:
        """What layers carry along without training it, by layer and name."""
        return self.snapshot().states

    def snapshot(self) -> Snapshot:
        """All arrays of one moment, even while another thread trains."""
        with self._lock:
            return Snapshot(
                {str(layer.name): dict(layer.values) for layer in self.layers},
                {str(layer.name): dict(layer.state) for layer in self.layers},
                self.members,
            )

    def publish(self, snapshot: Snapshot) -> None:
        """Put new arrays in the place of the current ones, all at once.

        Parameters
        ----------
        snapshot : Snapshot
            Its arrays are shared, not copied; they are seen as read-only.
        """
        parameters, states = map_tree(layerwise.frozen, [snapshot.parameters, snapshot.states])
        with self._lock:
            self.members, self._predictions = snapshot.members, {}
            for layer in self.layers:
                name = str(layer.name)
                layer.values, layer.state = parameters[name], states[name]
                layer.gradients = {}

    def member(self, index: int) -> Network:
        """One of the members, as a network of its own.

        Parameters
        ----------
        index : int
            From 0; negative numbers count from the end.

        Raises
        ------
        ParameterError
            If there is no such member, or a layer holds a function of the user's own.
        """
        snapshot = self.snapshot()
        count = snapshot.members or 1
        if type(index) is not int or not -count <= index < count:
            raise ParameterError(f"the model has {count} members; there is no member {index!r}")
        layers = built([described(layer) for layer in self.layers])
        architecture = Architecture(layers, self.dtype)
        return Network._of(Contents(architecture, snapshot.member(index), self.seed, {}, None))

    # Training

    def fit(
        self,
        X: npt.ArrayLike | RowSource,
        y: npt.ArrayLike | None = None,
        *,
        loss: Any = None,
        optimizer: Any = "adam",
        epochs: int = 50,
        batch_size: int | None = 32,
        validation: Any = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        metrics: Sequence[Any] | None = None,
        early_stopping: Any = None,
        callbacks: Sequence[Any] | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        replacement: bool = False,
        members: int = 1,
        restarts: int = 1,
        seed: int | None = None,
        engine: EngineChoice = None,
        progress: bool | None = None,
        checkpoints: str | os.PathLike[str] | Checkpoints | None = None,
        resume: bool = False,
    ) -> History:
        """Train, starting from the current parameters.

        Either it comes to an end, or the model is as it was before. Ctrl-C is an end: the best
        parameters so far stay. A training whose numbers overflow is one too: the best parameters
        come back, with a :class:`~chainrule.training.DivergenceWarning`. A target that is the same
        in every row is one that nothing can be learned of: a
        :class:`~chainrule.training.TargetWarning` says so.

        Parameters
        ----------
        X : (n, ...) array_like
            Features, finite; read in place if they have the network's element type. Or a
            ``chainrule.training.streaming.RowSource``, whose rows need not fit into memory.
        y : (n,) or (n, k) array_like
            Targets as the loss takes them: real numbers, class numbers, or one-hot rows. A source
            of rows brings its own.
        loss : name, Loss or callable, optional
            By default the one that suits the output layer. A callable takes predictions and
            targets as nodes and gives a node.
        optimizer : name or Optimizer
        epochs : int >= 0
            Passes over the data; with LBFGS, iterations.
        batch_size : int >= 1 or None
            Rows a step; None for all of them.
        validation : (X, y) or (X, y, weights), fraction, or row numbers, optional
            What the best epoch is chosen by. The best parameters are always put back at the end.
        sample_weight : (n,) array_like, optional
            How often each row counts, >= 0.
        class_weight : dict of class to weight, or "balanced", optional
            Further factors on the weights of the training rows; balanced classes have equal sums.
        metrics : names or Metrics, optional
            What is computed on the validation rows beside the loss; an error if there are none.
        early_stopping : int or EarlyStopping, optional
            Epochs without improvement after which training ends; the best parameters come back.
        callbacks : list, optional
            Callbacks, functions of the run, ReduceOnPlateau rules. Parameters that they assign
            to layers are overwritten by the next epoch.
        l1, l2 : float >= 0
            Penalties on weights: l1 * sum |w| and l2 * sum w^2.
        max_norm : float > 0, optional
            No unit's incoming weights have a greater Euclidean norm after a step.
        shuffle, drop_last, replacement : bool
            A new order for each epoch; leave out a short last batch; draw rows with replacement.
        members : int >= 1
            Train this many networks at once, each from parameters of its own.
        restarts : int >= 1
            Train this many at once, and keep the best.
        seed : int, optional
            For shuffling, dropout, held-out rows and new members; kept in the history. The same
            seed gives the same bits.
        engine : str or Engine, optional
        progress : bool, optional
            A live line on standard error; by default if it is a terminal.
        checkpoints : path or Checkpoints, optional
            The folder where the newest two checkpoints of this training are kept.
        resume : bool
            Go on from the newest checkpoint of the same training, whose seed is taken if none is
            given; without one, begin. A training that was killed and resumed ends with the same
            bits as one that was not. ``epochs`` counts from the beginning.

        Returns
        -------
        History

        Raises
        ------
        ShapeError, DtypeError, DataError, ParameterError, UnknownNameError
            For input that cannot be learned from, or checkpoints of another training.
        FileFormatError
            If all checkpoints are damaged.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.nn import Linear, Network
        >>> from chainrule.optim import SGD
        >>> model = Network([Linear(1, 1)], seed=0, dtype="float64")
        >>> X = np.linspace(-1, 1, 11)[:, None]
        >>> history = model.fit(X, 3 * X + 1, optimizer=SGD(0.5), epochs=200, batch_size=None)
        >>> model.predict([[2.0]]).round(6)
        array([[7.]])
        """
        if isinstance(X, RowSource):
            require_streamable(y, sample_weight, class_weight, validation, replacement)
        keeper = Keeper.of(checkpoints, resume)
        plan = Plan(
            epochs, batch_size, shuffle, drop_last, replacement, members, restarts,
            new_seed(keeper.seed if seed is None and keeper else seed), engine,
        )  # fmt: skip
        penalties, method = Regularization.of(l1, l2, max_norm), method_of(optimizer)
        with termination_as_interruption(keeper is not None), _unless_it_fails(self):
            task = prepare(
                self.architecture, X, y, loss=loss, regularization=penalties,
                sample_weight=sample_weight, class_weight=class_weight, validation=validation,
                seed=plan.seed,
            )  # fmt: skip
            warn_of_target(task)
            watched = watch(
                task.objective.loss, task.validation is not None, callbacks=callbacks,
                early_stopping=early_stopping, metrics=metrics, progress=progress,
            )  # fmt: skip
            require_memory(self.architecture.n_parameters, plan.count, self.dtype.itemsize)
            many = _multiplied(self.architecture, self.snapshot(), plan)
            self.publish(fitted(self.layers, many, task.rows[0], self.dtype))
            training = Training(self, task, plan, watched, method, keeper)
            self.history = training.run()
            if restarts > 1:
                self.publish(self.snapshot().member(training.best_member))
        if training.divergence:
            warnings.warn(training.divergence, DivergenceWarning, stacklevel=2)
        return self.history

    # Use

    def predict(
        self, X: npt.ArrayLike, members: str | None = None, engine: EngineChoice = None
    ) -> Array:
        """The output for rows ``X``; safe to call from many threads, even during training.

        Parameters
        ----------
        X : (n, ...) array_like
        members : {"all"}, optional
            Keep the axis of the members, in front; by default their mean is given.
        engine : str or Engine, optional

        Returns
        -------
        (n, k) array, or (members, n, k)

        Raises
        ------
        ShapeError, DtypeError, DataError
            If ``X`` is not what the network takes.
        """
        known = prepared(self._predictions, X, members, engine)
        found = None if known is None else known.run(X)
        if found is not None:
            return found[0]
        if members not in (None, "all"):
            raise ParameterError(f"members must be 'all' or left out, got {members!r}")
        before, snapshot = Held.by(self.layers), self.snapshot()
        rows, output = outputs(self.architecture, self._evaluate, snapshot, X, engine)
        if members is None and snapshot.members is not None:
            return np.asarray(np.mean(output, axis=0))
        if rows is X and len(rows) <= BLOCK_ROWS:
            run = self._evaluate.direct(snapshot, rows, engine)
            made = Prediction(before, check_of(self.layers[0]), run)
            remember(self._predictions, (array_kind(X), members, engine), made, KEPT)
        return output

    def forward(self, X: npt.ArrayLike, training: bool = False, seed: int | None = None) -> Array:
        """The output, layer by layer: every layer keeps its ``input``.

        Parameters
        ----------
        X : (n, ...) array_like
        training : bool
            Whether dropout drops and batch norm uses (and updates) batch statistics.
        seed : int, optional
            For random layers in training.

        Returns
        -------
        (n, k) array
        """
        snapshot = self.snapshot()
        if snapshot.members:
            raise ParameterError(
                f"forward looks at one network; choose one of {snapshot.members}: model.member(0)"
            )
        rows = self.architecture.as_rows(X)
        mode = Mode(True, random.key(new_seed(seed))) if training else Mode(False)
        self._last, after = layerwise.forward(self.architecture, snapshot, rows, mode)
        for layer, given in zip(self.layers, self._last.inputs, strict=True):
            layer.input = given
        if training:
            self.publish(after)
        return self._last.output

    def backward(self, loss_grad: npt.ArrayLike) -> Array | None:
        """The chain rule, layer by layer, from the last to the first (after :meth:`forward`).

        ASSIGNS each layer's gradients, read as ``layer.gradient_w`` and ``layer.gradient_b``.

        Parameters
        ----------
        loss_grad : array_like of the output's shape
            The derivative of the loss by the output.

        Returns
        -------
        array of the input's shape
            The derivative of the loss by the input; None where inputs are category numbers.

        Raises
        ------
        MissingInputError
            If there was no ``forward`` before.
        ShapeError
            If ``loss_grad`` has another shape than the output.

        Examples
        --------
        >>> from chainrule.nn import Linear, Network
        >>> model = Network([Linear(2, 1, name="only")], seed=0)
        >>> model["only"].W = [[3.0], [4.0]]
        >>> model.forward([[1.0, 2.0]])
        array([[11.]], dtype=float32)
        >>> model.backward([[1.0]])
        array([[3., 4.]], dtype=float32)
        >>> model["only"].gradient_w
        array([[1.],
               [2.]], dtype=float32)
        """
        if self._last is None:
            raise MissingInputError("backward needs a forward pass first: call model.forward(X)")
        by_input, found = layerwise.backward(self.architecture, self._last, loss_grad)
        for layer in self.layers:
            layer.gradients = found[str(layer.name)]
        return by_input

    # Description and files

    def summary(self) -> str:
        """A table of the layers: name, kind, output shape, parameters."""
        return table.summary(self.architecture, self.members)

    def __repr__(self) -> str:
        names = ", ".join(str(layer.name) for layer in self.layers)
        return f"<Network of {len(self.layers)} layers: {names}>"

    def save(self, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
        """Write the model to one file; an existing file stays whole if anything fails.

        Parameters
        ----------
        path : path
        extra : dict, optional
            Whatever JSON can hold, to be found again in ``model.extra``.

        Raises
        ------
        ParameterError
            If a layer holds a function of the user's own, or ``extra`` is no JSON.
        """
        contents = self._contents()
        if extra is not None:
            contents = contents._replace(extra=dict(extra))
        persist.write_file(path, *packed(contents), kind=KIND)
        self.extra = contents.extra

    def __reduce__(self) -> Any:
        return from_bytes, (persist.to_bytes(*packed(self._contents()), kind=KIND),)


def load(path: str | os.PathLike[str]) -> Network:
    """The model in a file. Loading runs no code, and refuses a file with a single flipped bit.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileFormatError
        If the file is damaged, hostile or not a model.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from chainrule.nn import Linear, Network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "m.chainrule")
    ...     Network([Linear(2, 3, name="only")]).save(path)
    ...     load(path)
    <Network of 1 layers: only>
    """
    return Network._of(unpacked(*persist.read_file(path, kind=KIND)))


def from_bytes(data: bytes, source: str = "these bytes") -> Network:
    """The model in the bytes of a file, as :func:`load`; messages call them ``source``."""
    return Network._of(unpacked(*persist.from_bytes(data, kind=KIND, source=source)))


def untrained(model: Network) -> bool:
    """Whether every parameter still is the number that was drawn from the seed.

    Examples
    --------
    >>> from chainrule.nn import Linear, Network
    >>> model = Network([Linear(1, 1, name="line")], seed=0)
    >>> before = untrained(model)
    >>> model["line"].W = [[2.0]]
    >>> before, untrained(model)
    (True, False)
    """
    if model.members is not None:  # only a training makes members
        return False
    drawn = _drawn(model.architecture, model.seed).parameters
    return all(
        np.array_equal(array, drawn[layer][name])
        for layer, arrays in model.parameters.items()
        for name, array in arrays.items()
    )


@contextmanager
def _unless_it_fails(model: Network) -> Iterator[None]:
    """Change the model in this block, or have it as it was before."""
    if not model._fitting.acquire(blocking=False):
        raise ParameterError("the model is in training already; wait, or train a copy")
    before, history = model.snapshot(), model.history
    try:
        yield
    except BaseException:
        model.history = history
        model.publish(before)
        raise
    finally:
        model._fitting.release()


def _drawn(architecture: Architecture, seed: int) -> Snapshot:
    """What a new network of this seed begins with."""
    return architecture.draw(random.fold_in(random.key(seed), random.Stream.PARAMETERS))


def _multiplied(architecture: Architecture, snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The arrays of as many networks as are wanted: the first keeps its own, others draw."""
    if plan.count in (1, snapshot.members):
        return snapshot
    if snapshot.members:
        raise ParameterError(
            f"the model has {snapshot.members} members; train them on, or make a new model"
        )
    key = random.fold_in(random.key(plan.seed), random.Stream.MEMBERS)
    drawn = [architecture.draw(random.fold_in(key, each)) for each in range(1, plan.count)]
    others = [snapshot._replace(parameters=each.parameters) for each in drawn]
    return Snapshot.of_members([snapshot, *others])
