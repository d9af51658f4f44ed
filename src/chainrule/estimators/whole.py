"""Methods that learn all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def all_or_nothing(method: Method) -> Method:
    """A method after whose errors all attributes are what they were: none of two trainings.

    Examples
    --------
    >>> class Model:
    ...     @all_or_nothing
    ...     def fit(self, classes, weights):
    ...         self.classes_ = classes
    ...         self.weights_ = 1 / weights
    >>> model = Model()
    >>> model.fit(2, 4)
    >>> try:
    ...     model.fit(3, 0)
    ... except ZeroDivisionError:
    ...     vars(model)
    {'classes_': 2, 'weights_': 0.25}
    """

    @wraps(method)
    def whole(self: Any, *args: Any, **kwargs: Any) -> Any:
        attributes = vars(self)
        before = attributes.copy()
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            for name in attributes.keys() - before.keys():
                del attributes[name]
            attributes.update(before)
            raise

    return whole  # type: ignore[return-value]
