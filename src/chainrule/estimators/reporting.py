"""scikit-learn's callback protocol (version 1.9), so that its progress bar and monitors work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method itself."""
        return method


class Reporter:
    """Tells an estimator's callbacks of each iteration; without callbacks it costs nothing.

    Parameters
    ----------
    estimator : object
    X, y : what ``fit`` was given
    metadata : dict
        What else it was given.
    most : int
        Iterations, at most.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, metadata: dict[str, Any], most: int) -> None:
        self.estimator = estimator
        self.active = bool(getattr(estimator, "_skl_callbacks", None))
        self._data = {"X": X, "y": y, "metadata": metadata}
        if self.active:
            self._root = estimator._init_callback_context(max_subtasks=most)
            self._root.call_on_fit_task_begin(estimator=estimator, **self._data)

    def iteration(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """Report an iteration; whether a callback wants to stop.

        Parameters
        ----------
        fitted : callable
            Gives the attributes that make the estimator ready to predict.
        """
        if not self.active:
            return False
        task = self._root.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(estimator=self.estimator, **self._data)
        return bool(
            task.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes=fitted, **self._data
            )
        )

    def end(self, fitted: Callable[[], dict[str, Any]]) -> None:
        """Report the end of the training."""
        if self.active:
            self._root.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes=fitted, **self._data
            )


__all__ = ["CallbackSupportMixin", "Reporter", "with_callbacks"]
