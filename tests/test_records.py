"""Dataclasses whose methods are written when they are used are dataclasses all the same."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import threading
from dataclasses import KW_ONLY, FrozenInstanceError, field

import pytest

from chainrule.records import dataclass


@dataclass(frozen=True)
class Point:
    """A record that pickle finds by its name."""

    x: float
    y: float = field(default=2.0, metadata={"unit": "m"})


def fresh() -> type:
    """A class that nobody has used yet, of a base that nobody has used either."""

    @dataclass(frozen=True)
    class Base:
        """A base."""

        a: int
        b: tuple[int, ...] = (1, 2)

    @dataclass(frozen=True)
    class Derived(Base):
        """A class."""

        _: KW_ONLY
        c: list[int] = field(default_factory=list)

        def __call__(self, scale: float) -> float:
            return scale * self.a

    return Derived


def written(cls: type) -> bool:
    """Whether the class has methods of its own already."""
    return "__eq__" in vars(cls)


def test_methods_are_written_with_the_first_instance() -> None:
    cls = fresh()
    assert not written(cls)
    assert repr(cls(1)).endswith("Derived(a=1, b=(1, 2), c=[])")
    assert written(cls)


@pytest.mark.parametrize(
    "look",
    [
        dataclasses.fields,
        inspect.signature,
        lambda cls: inspect.signature(cls.__init__),
        lambda cls: cls.__new__(cls),
        lambda cls: dataclasses.dataclass(frozen=True)(type("Further", (cls,), {"__doc__": ""})),
        lambda cls: type("Further", (cls,), {})(1),
    ],
)
def test_whoever_looks_at_a_class_finds_a_dataclass(look) -> None:
    cls = fresh()
    assert dataclasses.is_dataclass(cls)
    cls = fresh()
    look(cls)
    assert written(cls)


def test_they_are_what_the_standard_library_makes() -> None:
    cls, twin = fresh(), fresh()
    twin = dataclasses.make_dataclass(
        "Twin",
        [(f.name, f.type, copy.copy(f)) for f in dataclasses.fields(twin)],
        frozen=True,
    )
    assert str(inspect.signature(cls)) == str(inspect.signature(twin))  # factories differ
    assert cls(1, (3,), c=[4]) == cls(1, (3,), c=[4]) != cls(1)
    assert hash(Point(1.0)) == hash(Point(1.0, 2.0))
    assert dataclasses.replace(cls(1), a=5) == cls(5)
    assert inspect.signature(cls(2)) == inspect.signature(cls(2).__call__)
    undocumented = dataclass(order=True)(type("Plain", (), {"__annotations__": {"a": int}}))
    assert undocumented(1) < undocumented(2)
    assert undocumented.__doc__ == "Plain(a: int)"
    assert dataclasses.fields(Point)[1].metadata == {"unit": "m"}
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
        cls(1).a = 2
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        cls()
    with pytest.raises(TypeError, match="positional arguments"):
        cls(1, (2,), [3])


@pytest.mark.parametrize("decorate", [dataclass, dataclasses.dataclass])
def test_fields_of_every_kind(decorate) -> None:
    @decorate(kw_only=True)
    class Mixed:
        """A class."""

        a: int
        b: list[int] = field(default_factory=list, repr=False)
        c: int = field(default=3, compare=False)
        d: dict[str, int] = field(init=False, default_factory=dict)
        e: int = field(init=False)

        def __post_init__(self) -> None:
            self.e = self.a + 1

    one, other = Mixed(a=1), Mixed(a=1, c=4)
    one.b.append(5)
    assert one != other and other == Mixed(a=1, b=[])
    assert repr(other).endswith("Mixed(a=1, c=4, d={}, e=2)")
    assert Mixed.__hash__ is None and Mixed.c == 3 and not hasattr(Mixed, "b")
    assert Mixed.__match_args__ == () and one != (1, [5], {}, 2)
    one.d["itself"] = one
    assert repr(one).endswith("Mixed(a=1, c=3, d={'itself': ...}, e=2)")


@pytest.mark.parametrize("decorate", [dataclass, dataclasses.dataclass])
def test_methods_of_a_class_stay_and_its_subclasses_have_more_attributes(decorate) -> None:
    @decorate(frozen=True)
    class Own:
        """A class."""

        a: int
        locals()["__eq__"] = lambda self, other: True

        def __repr__(self) -> str:
            return "own"

    class Further(Own):
        """A class with a dictionary that is its own."""

    assert Own(1) == Own(2) and repr(Own(1)) == "own" and hash(Own(1)) == hash((1,))
    further = Further(1)
    further.more = 2
    del further.more
    for change in (lambda: setattr(further, "a", 2), lambda: delattr(further, "a")):
        with pytest.raises(FrozenInstanceError, match="field 'a'"):
            change()


def test_copies_and_pickles_are_equal() -> None:
    assert copy.deepcopy(Point(1.0)) == Point(1.0) == pickle.loads(pickle.dumps(Point(1.0)))


def test_what_is_unpickled_in_a_fresh_process_has_its_methods() -> None:
    program = (
        "import pickle, sys\n"
        "point = pickle.loads(sys.stdin.buffer.read())\n"
        "from tests.test_records import Point\n"
        "assert point == Point(1.0) and repr(point) == 'Point(x=1.0, y=2.0)'\n"
    )
    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(Point(1.0)), check=True)


def test_threads_that_make_the_first_instances_wait_for_the_methods() -> None:
    for _ in range(20):
        cls, made, start = fresh(), [], threading.Barrier(4)

        def make(cls=cls, made=made, start=start) -> None:
            start.wait()
            made.append(cls(1))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made == [cls(1)] * 4


@pytest.mark.parametrize("look", [dataclasses.fields, inspect.signature])
def test_threads_that_look_at_a_class_wait_for_the_methods(look, monkeypatch) -> None:
    cls, seen, threads, genuine = fresh(), [], [], dataclasses.dataclass

    def seen_halfway(**options):
        threads.append(threading.Thread(target=lambda: seen.append(look(cls))))
        threads[-1].start()
        threads[-1].join(0.1)  # it waits for us
        return genuine(**options)

    monkeypatch.setattr(dataclasses, "dataclass", seen_halfway)
    cls(1)
    for thread in threads:
        thread.join()
    assert seen == [look(cls)] * len(threads)
