"""Where arrays lie: the devices of a training, as a grid of rows by units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from chainrule.engines.base import Program
from chainrule.engines.division import chosen_units
from chainrule.engines.xla.library import in_words, jax, jnp, lax
from chainrule.errors import EngineError, ParameterError
from chainrule.records import dataclass
from chainrule.shapes import Array

PLATFORMS: Final = ("cpu", "gpu", "tpu")
PRECISIONS: Final = ("float32", "tf32", "bfloat16")


def available(platform: str | None) -> list[Any]:
    """The devices of a kind, in all processes; those that JAX prefers where none is named.

    Raises
    ------
    EngineError
        If there are none, or they cannot be used.
    """
    named = "devices" if platform is None else f"device {platform!r}"
    with in_words(
        f"there is no {named} that JAX can use ({{}}); leave device out,"
        " or install the JAX that is made for it"
    ):
        return list(jax.devices(platform))


def _mesh(devices: Any, units: int) -> Any:
    """Devices in groups of so many, each group for a part of the rows."""
    return jax.sharding.Mesh(np.reshape(devices, (-1, units)), ("rows", "units"))


@dataclass(frozen=True)
class Devices:
    """A grid of devices: the rows of a batch are divided along one axis, units along the other.

    Attributes
    ----------
    mesh : jax.sharding.Mesh
        With the axes ``rows`` and ``units``.
    free : bool
        Whether nobody said among how many the units are divided.
    """

    mesh: Any
    free: bool = False

    @classmethod
    def chosen(cls, platform: str | None, count: int | None, units: int | None) -> Devices:
        """So many devices of a kind, all if None, ``units`` of them for each part of the rows.

        Where nobody says how many, one, until there is a program that more suit better.

        Raises
        ------
        EngineError
            If there are not so many.
        ParameterError
            If they cannot be divided by ``units``, or processes would be left without any.
        """
        found = available(platform)
        if count is not None and not 0 < count <= len(found):
            raise EngineError(
                f"{count} devices were asked for, and JAX finds {len(found)} of kind"
                f" {found[0].platform!r}; ask for 1 to {len(found)}, or leave devices out"
            )
        if count is not None and count < len(found) and jax.process_count() > 1:
            raise ParameterError("several processes use all their devices; leave devices out")
        kept = found[:count]
        if units is not None and (units < 1 or len(kept) % units):
            raise ParameterError(f"{len(kept)} devices cannot be divided by split_units={units}")
        return cls(_mesh(kept, units or 1), units is None)

    def suited(self, program: Program) -> Devices:
        """The same devices, with units divided among as many as suits a program."""
        units = chosen_units(program, self.count) if self.free else self.mesh.shape["units"]
        return Devices(_mesh(self.mesh.devices, units))

    @property
    def count(self) -> int:
        """How many there are, in all processes."""
        return int(self.mesh.size)

    @property
    def shares(self) -> int:
        """Among how many devices the rows of a batch are divided."""
        return int(self.mesh.shape["rows"])

    @property
    def local(self) -> Any:
        """One that belongs to this process."""
        return self.mesh.local_devices[0]

    def _sharding(self, *axes: Any) -> Any:
        return jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(*axes))

    @property
    def everywhere(self) -> Any:
        """The same array on every device."""
        return self._sharding()

    def by_rows(self, batch: Any) -> Any:
        """A batch whose rows are divided among the devices."""
        return lax.with_sharding_constraint(batch, self._sharding("rows"))

    def by_units(self, shape: tuple[int, ...], axis: int | None) -> Any:
        """An axis divided, where it can be; this is how parameters and moments lie."""
        units = self.mesh.shape["units"]
        if units == 1 or axis is None or shape[axis] % units:
            return self.everywhere
        return self._sharding(*["units" if x == axis else None for x in range(-len(shape), 0)])

    def put(self, arrays: Sequence[Array], shardings: Sequence[Any]) -> list[Any]:
        """Copies of arrays on the devices; each process makes the parts that lie on its own."""
        pairs = zip(arrays, shardings, strict=True)
        return [
            jax.make_array_from_callback(x.shape, way, lambda part, x=x: np.array(x[part]))
            for x, way in pairs  # of x itself a processor would use the memory
        ]

    def together(self, arrays: Sequence[Array]) -> list[Any]:
        """Sums over the processes on every device: one device of each gives what it has."""
        first = list(self.mesh.devices.flat).index(self.local)
        ways = self._sharding(("rows", "units"))
        parts = [
            jax.make_array_from_callback(
                (self.count, *x.shape), ways, lambda part, x=x: x[None] * (part[0].start == first)
            )
            for x in arrays
        ]
        add = jax.jit(lambda x: [y.sum(0, y.dtype) for y in x], out_shardings=self.everywhere)
        return list(add(parts))

    def parted(self, parts: Any) -> Any:
        """Parts of a sum, (shares, *shape), each on the devices that have its rows."""
        free = [jax.sharding.PartitionSpec.UNCONSTRAINED] * (parts.ndim - 1)
        return lax.with_sharding_constraint(parts, self._sharding("rows", *free))

    def apart(self, x: Any) -> Any:
        """An array as parts that sum to it: all of it, and zeros."""
        first = (jnp.arange(self.shares) == 0).reshape(-1, *[1] * x.ndim)
        return self.parted(jnp.where(first, x, jnp.zeros((), x.dtype)))

    def fetch(self, arrays: Sequence[Any]) -> list[Array]:
        """The values of arrays, in every process; read-only, and on processors not copied."""
        if not all(array.is_fully_replicated for array in arrays):
            arrays = jax.jit(list, out_shardings=self.everywhere)(list(arrays))
        return list(jax.device_get(list(arrays)))
