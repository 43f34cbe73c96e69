"""Records: immutable by convention, like frozen dataclasses, but defined in microseconds; and named tuples likewise.

``dataclass(frozen=True)`` generates and compiles six methods for each class in 0.45 ms, and the program defines dozens
of classes at start-up. All records share their methods, so making a record takes a microsecond longer. The type checker
enforces immutability. ``typing.NamedTuple`` compiles each annotation and a method, in 0.1 ms a class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeGuard, TypeVar, dataclass_transform, overload

Class = TypeVar("Class", bound=type)
Value = TypeVar("Value")


class _Made:
    """The default of a field, which a function makes anew for each record."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, factory: Callable[[], Value]) -> Value:
    """Return a default for a field of a record: what ``factory`` returns, made anew for each record."""
    default: Any = _Made(factory)
    return default  # type: ignore[no-any-return]


class cached_property(Generic[Value]):
    """A property that is computed once and then stored in the instance.

    Unlike :func:`functools.cached_property` of Python 3.11, it holds no lock while it computes. All instances share
    that lock: a signal handler that interrupts the computation, and waits for threads that compute the property of
    other instances, would deadlock. Without the lock, two threads may both compute a value.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Set the name of the attribute that stores the value."""
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[Value]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Value: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        """Compute and store the value; later accesses find the instance's attribute first."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value


@overload
def record(cls: Class, /) -> Class: ...
@overload
def record(*, eq: bool, frozen: bool = True) -> Callable[[Class], Class]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type | None = None, /, *, eq: bool = True, frozen: bool = True) -> Any:
    """Make a record of a class with annotated fields, whose defaults are values or made by a :func:`field`'s factory.

    Parameters
    ----------
    cls : type
        A method ``__post_init__`` of the class is called for each new record.
    eq : bool
        Whether records of one class with equal fields are equal, with equal hashes. False: a record equals only itself,
        as records of arrays must.
    frozen : bool
        Whether the type checker refuses to change a field.

    Returns
    -------
    type
        The class, with the names of its fields in ``__match_args__``.
    """

    def decorate(cls: Any) -> type:
        inherited, own = getattr(cls, "__match_args__", ()), cls.__annotations__
        names = (*inherited, *(name for name in own if name not in inherited))
        cls.__match_args__ = names  # type: ignore[misc]
        cls._names = frozenset(cls.__match_args__)
        cls._defaults = {name: getattr(cls, name) for name in cls.__match_args__ if hasattr(cls, name)}
        cls._made = {name: value for name, value in cls._defaults.items() if isinstance(value, _Made)}
        cls.__init__ = _init
        if "__repr__" not in vars(cls):
            cls.__repr__ = _shown
        if eq:
            cls.__eq__, cls.__hash__ = _equal, _hash
        return cls  # type: ignore[no-any-return]

    return decorate if cls is None else decorate(cls)


if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414, TID251 - the type checker knows its arguments
else:

    def replace(record, /, **changes):
        """Return a copy of a record or dataclass in which some fields have other values."""
        values = {name: getattr(record, name) for name in record.__match_args__}
        return type(record)(**values | changes)


def is_record(value: object) -> TypeGuard[Any]:
    """Whether a value is a record or a dataclass."""
    return hasattr(value, "__match_args__") and not isinstance(value, tuple | type)


def _init(self: Any, /, *values: Any, **named: Any) -> None:
    names, fields = self.__match_args__, self.__dict__
    fields.update(self._defaults)
    fields.update(zip(names, values, strict=False))
    fields.update(named)
    if fields.keys() != self._names or len(values) > len(names) or not named.keys().isdisjoint(names[: len(values)]):
        raise TypeError(_misfit(type(self), values, named))
    for name, default in self._made.items():
        if fields[name] is default:
            fields[name] = default.make()
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _misfit(cls: Any, values: tuple[Any, ...], named: dict[str, Any]) -> str:
    given = {*cls.__match_args__[: len(values)], *named, *cls._defaults}
    missing = [name for name in cls.__match_args__ if name not in given]
    unknown = [name for name in named if name not in cls._names]
    fields = f"{cls.__name__} has the fields {', '.join(cls.__match_args__)}; "
    if missing:
        return f"{fields}missing are {', '.join(missing)}"
    if unknown:
        return f"{fields}unknown are {', '.join(unknown)}"
    twice = [name for name in named if name in cls.__match_args__[: len(values)]]
    return f"{fields}given twice are {', '.join(twice)}" if twice else f"{fields}got {len(values)} values"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__match_args__])


def _equal(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _shown(self: Any) -> str:
    values = zip(self.__match_args__, _values(self), strict=True)
    return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in values)})"


# Named tuples -------------------------------------------------------------------


if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - the type checker knows its fields
else:
    from collections import _tuplegetter  # as fast as a slot

    def _completed(cls, values, named):
        """Return the values of all fields, in order."""
        found, used = list(values), 0
        for name in cls._fields[len(values) :]:
            if name in named:
                found.append(named[name])
                used += 1
            elif name in cls._defaults:
                found.append(cls._defaults[name])
        if len(found) != len(cls._fields) or used != len(named):
            raise TypeError(_misfit(cls, values, named))
        return found

    class _NamedTupleType(type):
        """The type of named tuples; classes that derive from one add no fields."""

        def __new__(cls, name, bases, namespace):
            names = tuple(namespace.get("__annotations__", ()))
            if names or bases == (tuple,):  # classes without fields inherit NamedTuple's
                defaults = {name: namespace[name] for name in names if name in namespace}
                namespace |= {"_fields": names, "__match_args__": names, "_names": frozenset(names)}
                namespace |= {"_defaults": defaults, "__slots__": ()}
                namespace |= {name: _tuplegetter(number, "") for number, name in enumerate(names)}
            return super().__new__(cls, name, bases, namespace)

    class NamedTuple(tuple, metaclass=_NamedTupleType):
        """Base of named tuples: as ``typing.NamedTuple``."""

        __slots__ = ()

        def __new__(cls, /, *values, **named):
            """Take the fields by place and by name."""
            if named or len(values) != len(cls._fields):
                values = _completed(cls, values, named)
            return tuple.__new__(cls, values)

        def __repr__(self):
            """Show all fields."""
            return _shown(self)

        def __getnewargs__(self):
            """Return the fields, for a copy."""
            return tuple(self)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, /, **changes):
            return type(self)(**self._asdict() | changes)
