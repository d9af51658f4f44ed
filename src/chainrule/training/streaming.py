"""Rows that are read while a training runs, because there are more than memory holds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple, Protocol, runtime_checkable

from chainrule.engines.processes import Spread
from chainrule.errors import DataError, ParameterError
from chainrule.nn.losses import Loss
from chainrule.records import dataclass
from chainrule.shapes import Array
from chainrule.training.prefetch import prefetched


class Portion(NamedTuple):
    """The rows of some steps of an epoch.

    Attributes
    ----------
    rows : sequence of arrays
        Features, targets, and weights if there are any.
    first, stop : int
        The first of the steps, and the one behind the last.
    own : (n,) bool, optional
        Which rows this process has read, where several read some each; others stand for the rest.
    finite : bool
        Whether the features are known to be finite, and need not be looked at.
    """

    rows: Sequence[Array]
    first: int
    stop: int
    own: Array | None = None
    finite: bool = False


@runtime_checkable
class RowSource(Protocol):
    """Where rows come from, each epoch anew; ``Network.fit`` takes one in place of ``X`` and ``y``.

    Attributes
    ----------
    sample : sequence of arrays
        Some rows: features, targets, and weights if there are any. Layers that learn from the
        training rows before training begins learn from these.
    """

    sample: Sequence[Array]

    def __len__(self) -> int:
        """Rows of an epoch."""

    @property
    def digest(self) -> str:
        """The same for the same rows."""

    def portions(
        self, epoch: int, bounds: Array, first: int, *, seed: int, shuffled: bool
    ) -> Iterator[Portion]:
        """The rows of the steps from ``first`` on, in the order of the epoch.

        Parameters
        ----------
        epoch : int
        bounds : (steps, 2) int64
            Where the batch of each step begins and ends, in the order of the epoch.
        first : int
            A training that is resumed does not begin at step 0.
        seed : int
        shuffled : bool
        """


@dataclass(frozen=True, eq=False)
class Streamed:
    """A source, whose rows become what a network and a loss take.

    Attributes
    ----------
    source : RowSource
    features : callable
        From features, and whether they are known to be finite, to rows of the network's element
        type.
    targets : callable
    """

    source: RowSource
    features: Callable[[Array, bool], Array]
    targets: Callable[[Array], Array]

    @classmethod
    def of(cls, source: RowSource, architecture: Any, loss: Loss, n_out: int) -> Streamed:
        """For a network and its loss."""
        return cls(
            source,
            lambda X, finite: architecture.as_rows(X, finite=finite),
            lambda y: loss.prepare(y, n_out, architecture.dtype),
        )

    def portions(
        self, epochs: range, bounds: Array, first: int, *, seed: int, shuffled: bool
    ) -> Generator[Portion, None, None]:
        """What the source gives, prepared: of the first epoch from the step ``first`` on.

        A thread does that while the engine computes, from one epoch into the next.

        Raises
        ------
        DataError
            If the source gives fewer rows than it said.
        """
        starts = chain([first], repeat(0))

        def prepared() -> Iterator[Portion]:
            for epoch, start in zip(epochs, starts, strict=False):
                done = start
                for portion in self.source.portions(
                    epoch, bounds, start, seed=seed, shuffled=shuffled
                ):
                    X, y, *weights = portion.rows
                    done = portion.stop
                    rows = [self.features(X, portion.finite), self.targets(y), *weights]
                    if portion.own is not None:
                        rows = [Spread.of(each, portion.own) for each in rows]
                    yield portion._replace(rows=rows)
                if done < len(bounds):
                    raise DataError("the rows of an epoch ended before its steps did")

        return prefetched(prepared)


def require_streamable(
    y: Any, sample_weight: Any, class_weight: Any, validation: Any, replacement: bool
) -> None:
    """Refuse what needs all rows at once.

    Raises
    ------
    ParameterError
        With the argument.
    """
    in_memory = {
        "y": y is not None,
        "sample_weight": sample_weight is not None,
        "class_weight": class_weight is not None,
        "replacement": replacement,
        "validation as a part of the rows": not isinstance(validation, (tuple, list, type(None))),
    }
    for name, given in in_memory.items():
        if given:
            raise ParameterError(
                f"{name} needs rows in memory, and these are read while the training runs;"
                " targets and weights come with them"
            )
