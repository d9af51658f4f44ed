"""A table of text cells that knows where each of them came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from chainrule.data import cells
from chainrule.data.cells import Texts
from chainrule.errors import DataError, unknown_name


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of text, as :func:`chainrule.data.read_table` found them.

    Parameters
    ----------
    source : str
        The file, for error messages.
    names : tuple of str
        The columns' names, none empty, none twice.
    blocks : sequence of (rows, columns) arrays of text
        The cells, in blocks of rows.
    lines : (n,) int64
        The line of the file where each row begins, the first line being 1.
    delimiter : str
        What stands between its cells.

    Examples
    --------
    >>> rows = np.array([["1", "2.5", "yes"], ["3", "4", "no"]], cells.TEXT)
    >>> table = Table("t.csv", ("a", "b", "ok"), [rows], np.array([2, 3]))
    >>> len(table)
    2
    >>> table.features(exclude=["ok"])
    (('a', 'b'), array([[1. , 2.5], [3. , 4. ]]))
    >>> table.target("ok").tolist()
    ['yes', 'no']
    """

    source: str
    names: tuple[str, ...]
    blocks: Sequence[Texts] = field(repr=False)
    lines: npt.NDArray[np.int64] = field(repr=False)
    delimiter: str = ","

    def __len__(self) -> int:
        return len(self.lines)

    def features(
        self, exclude: Collection[str] = ()
    ) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
        """Every column but those in ``exclude``, as numbers.

        Returns
        -------
        names : tuple of str
            The columns, in the order of the table.
        values : (n, len(names)) float64
            Their cells.

        Raises
        ------
        DataError
            If a cell is missing or not a finite number, or no column is left.
        UnknownNameError
            If a name in ``exclude`` is not one of the table's.
        """
        for name in exclude:
            self._position(name)
        names = tuple(name for name in self.names if name not in exclude)
        if not names:
            raise DataError(f"{self.source}: no column is left to learn from")
        return names, self.numbers(names)

    def numbers(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """Columns as numbers, in the order asked for, (n, len(names)) float64.

        Raises
        ------
        DataError
            If a cell is missing or not a finite number: with file, line and column.
        UnknownNameError
            If there is no such column.
        """
        positions = [self._position(name) for name in names]
        values = np.empty((len(self), len(positions)))
        row = 0
        for block in self.blocks:
            chosen = block[:, positions]
            found = cells.numbers(chosen)
            if found is None:
                self._refuse_number(chosen, row, names)
            values[row : row + len(block)] = found
            row += len(block)
        return values

    def target(self, name: str) -> Texts:
        """A column as text without surrounding blanks, (n,), no cell of it missing.

        Raises
        ------
        DataError
            If a cell is missing: with file, line and column.
        UnknownNameError
            If there is no such column.
        """
        position = self._position(name)
        column = cells.texts(np.concatenate([block[:, position] for block in self.blocks]))
        row = cells.first_missing(column)
        if row is not None:
            remedy = "every row needs a target, fill it in or remove the row"
            self._refuse(row, name, f"{cells.fault(column[row])}; {remedy}")
        return column

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise unknown_name(f"column of {self.source}", name, self.names)
        return self.names.index(name)

    def _refuse_number(self, block: Texts, first_row: int, names: Sequence[str]) -> NoReturn:
        """Report the first cell of ``block`` that is no number."""
        row, column, fault = next(
            (row, column, fault)
            for row, texts in enumerate(block)
            for column, text in enumerate(texts)
            if (fault := cells.fault(text)) is not None
        )
        remedy = "correct the cell, or leave out the row or the column"
        self._refuse(first_row + row, names[column], f"{fault}; {remedy}")

    def _refuse(self, row: int, name: str, complaint: str) -> NoReturn:
        raise DataError(f"{self.source}, line {self.lines[row]}, column {name!r}: {complaint}")
