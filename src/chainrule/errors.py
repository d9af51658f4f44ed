"""The exceptions of chainrule, one class per kind of mistake.

::

    ChainruleError
    ├── ShapeError          (ValueError)   sizes that do not fit together
    ├── DtypeError          (TypeError)    element types an operation cannot take
    ├── UnknownNameError    (ValueError)   a name that is not in the list it was looked up in
    ├── ParameterError      (ValueError)   a setting outside its range
    ├── DataError           (ValueError)   arrays or tables that cannot be learned from
    ├── FormulaError        (ValueError)   a typed formula that is not arithmetic
    ├── GraphError          (ValueError)   a graph that breaks the language's own rules
    ├── MissingInputError   (ValueError)   a placeholder was read before it was given a value
    ├── GradientError       (ValueError)   a derivative that does not exist
    │   ├── NotDifferentiableError         the operation has no derivative there
    │   └── DisconnectedError              the output does not depend on the input
    ├── NotFittedError      (ValueError)   a layer was used before it saw training data
    ├── DivergenceError     (ArithmeticError)  training left the finite numbers
    ├── FileFormatError     (ValueError)   a file that is damaged, hostile or not ours
    ├── EngineError         (RuntimeError) a device, its memory or another machine that fails
    └── MissingExtraError   (ImportError)  an optional package is needed

Every message is one sentence: what failed, what was needed, where it was built, what to try.
"""

from __future__ import annotations

from collections.abc import Iterable

NAMES_SHOWN = 20  # of the known names, in a message about an unknown one


class ChainruleError(Exception):
    """Base of all errors that chainrule raises on purpose.

    Catch it to handle any of them: ``except chainrule.ChainruleError``.
    """


class ShapeError(ChainruleError, ValueError):
    """Sizes that do not fit together.

    Cause: an operation or a layer was given arrays whose shapes it cannot combine.
    Example: ``cr.matmul(a, b)`` with shapes (2, 3) and (4, 5).
    Remedy: compare the two shapes in the message; transpose or reshape one of them.
    """


class DtypeError(ChainruleError, TypeError):
    """An element type that an operation cannot take.

    Cause: for example text, objects or complex numbers where numbers are needed.
    Example: ``cr.constant(["a"])``.
    Remedy: convert with ``numpy.asarray(x, dtype=...)`` or ``cr.astype``.
    """


class UnknownNameError(ChainruleError, ValueError):
    """A name that is not in the list it was looked up in.

    Cause: usually a misspelling. Example: ``model.fit(..., loss="cros_entropy")``.
    Remedy: the message names the closest match and the whole list.
    """


class ParameterError(ChainruleError, ValueError):
    """A setting outside its range.

    Cause: a hyper-parameter that cannot mean anything.
    Example: ``Adam(-1.0)``. Remedy: the message states the range.
    """


class DataError(ChainruleError, ValueError):
    """Arrays or tables that cannot be learned from.

    Cause: missing values, no rows, one class only, text where numbers are needed.
    Example: ``model.fit(X, y)`` with a NaN in ``X``.
    Remedy: the message names row and column.
    """


class FormulaError(ChainruleError, ValueError):
    """A typed formula that is not plain arithmetic.

    Cause: anything but numbers, names, operators and known functions.
    Example: ``chainrule draw "import os"``. Remedy: the message lists what is allowed.
    """


class GraphError(ChainruleError, ValueError):
    """A graph that breaks the rules of the language.

    Cause: a pass or a hand-built node with the wrong type, or text that does not parse.
    Remedy: please report it, with the printed graph, unless you wrote the text yourself.
    """


class MissingInputError(ChainruleError, ValueError):
    """A placeholder was read before it was given a value.

    Example: ``cr.input((3,), name="x").value``.
    Remedy: ``cr.evaluate(nodes, feed={x: array})``.
    """


class GradientError(ChainruleError, ValueError):
    """A derivative that does not exist. See the two subclasses."""


class NotDifferentiableError(GradientError):
    """The path to the input runs through an operation without a derivative.

    Example: the gradient of ``cr.argmax(x)``. Remedy: ``cr.stop_gradient`` where the
    path is meant to end, or a smooth operation in its place.
    """


class DisconnectedError(GradientError):
    """The output does not depend on the input.

    Example: ``cr.gradient(y, [x])`` where ``y`` was built without ``x``.
    Remedy: ask only for inputs that are used.
    """


class NotFittedError(ChainruleError, ValueError):
    """A layer or a model was used before it saw training data.

    Example: ``Standardize()`` in ``predict`` before ``fit``. Remedy: call ``fit`` first.
    """


class DivergenceError(ChainruleError, ArithmeticError):
    """Training left the finite numbers and there is nothing to return to.

    Remedy: a smaller learning rate, scaled inputs, or gradient clipping.
    """


class FileFormatError(ChainruleError, ValueError):
    """A file that is damaged, hostile or not one of ours.

    Remedy: take the file from its source again; nothing of it was used.
    """


class EngineError(ChainruleError, RuntimeError):
    """A device, its memory, or another process of the same training that fails.

    Example: a training that is larger than the memory of the GPU it runs on.
    Remedy: the message says what failed and how to go on.
    """


class MissingExtraError(ChainruleError, ImportError):
    """An optional package is needed; the message holds the line that installs it."""


def missing_extra(feature: str, extra: str) -> MissingExtraError:
    """The error that tells how to install what ``feature`` needs."""
    return MissingExtraError(
        f'{feature} needs an optional package: pip install "chainrule[{extra}]"'
    )


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for ``name`` missing from ``known``, with the closest match.

    >>> print(unknown_name("loss", "huberr", ["huber", "hinge"]))
    unknown loss 'huberr'; did you mean 'huber'? (known: huber, hinge)
    >>> print(unknown_name("loss", 3, ["huber", "hinge"]))
    unknown loss 3 (known: huber, hinge)
    """
    import difflib

    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    shown = ", ".join(names[:NAMES_SHOWN]) + more
    return UnknownNameError(f"unknown {kind} {name!r}{hint} (known: {shown or 'none'})")
