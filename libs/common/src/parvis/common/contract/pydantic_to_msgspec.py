"""Derives fast msgspec structs from the pydantic event models: read and written in a tenth of the time. Pure; no I/O."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from annotated_types import Ge, Le, MaxLen
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

ModelT = TypeVar("ModelT", bound=BaseModel)


def msgspec_struct(model: type[ModelT]) -> type[ModelT]:
    """A struct class with the members, defaults, lengths, patterns and JSON names of the model.

    Types:  the return type is not the truth. pyright sees the model class, because attributes and constructor arguments are the same and
            it has no type for "a class with the fields of M". At run time it is a msgspec.Struct: `isinstance(value, Model)` is False
            (compare `value.TYPE`), no pydantic method exists, and the constructor validates nothing. Build it from checked values only.
    Reads:  a subset of what the model reads. It refuses some JSON that the model accepts (`"5"` for 5, a member that a newer writer
            added): parse with the model in that case.
    Raises: TypeError, for a model with validators, which a struct could not run.
    """
    return _build_struct(model)


def json_decoder(model: type[ModelT]) -> Callable[[bytes], ModelT]:
    """A function that parses JSON into the struct of the model. It raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError."""
    return _build_decoder(model)


_encoder = msgspec.json.Encoder(enc_hook=lambda model: model.model_dump(exclude_none=True, by_alias=True))


def encode_json(struct: BaseModel) -> bytes:
    """The JSON of a struct, which may contain models. Members that are None are left out."""
    return _encoder.encode(struct)


@cache
def _build_decoder(model: type[BaseModel]) -> Any:
    return msgspec.json.Decoder(_build_struct(model)).decode


@cache
def _build_struct(model: type[BaseModel]) -> Any:
    decorators = model.__pydantic_decorators__
    if (
        decorators.validators
        or decorators.field_validators
        or decorators.root_validators
        or decorators.model_validators
    ):
        raise TypeError(f"{model.__name__} has validators, which a struct would not run")
    hints = get_type_hints(model, include_extras=True)
    fields = [_struct_field(name, hints[name], field) for name, field in model.model_fields.items()]
    renamed = {name: field.alias for name, field in model.model_fields.items() if field.alias}
    constants = {name: getattr(model, name) for name in model.__class_vars__}
    return msgspec.defstruct(
        model.__name__, fields, namespace=constants, module=model.__module__, rename=renamed or None,
        frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True,
    )  # fmt: skip


def _struct_field(name: str, hint: Any, field: FieldInfo) -> tuple[str, Any, Any]:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint  # the constraints are in the metadata as well
    kind = _with_constraints(_msgspec_type(bare), field.metadata)
    if field.is_required():
        return name, kind, msgspec.NODEFAULT
    if field.default is None:
        return name, kind, None
    default_factory: Callable[[], Any] = field.default_factory or partial(_to_struct, field.default)  # pyright: ignore[reportAssignmentType]
    # A factory and not a plain default: msgspec leaves out members that equal their default, and only None may be left out.
    return name, kind, msgspec.field(default_factory=partial(default_factory))


def _to_struct(value: Any) -> Any:
    return msgspec_struct(type(value))(**dict(value)) if isinstance(value, BaseModel) else value


def _msgspec_type(hint: Any) -> Any:
    """The msgspec type of a pydantic type."""
    if hint is AwareDatetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if isinstance(hint, NewType):
        return _msgspec_type(hint.__supertype__)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return msgspec_struct(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _with_constraints(_msgspec_type(arguments[0]), arguments[1:])
    if origin is Literal or origin is None:
        return hint
    kinds = tuple(_msgspec_type(argument) for argument in arguments)
    return Union[kinds] if origin in (Union, UnionType) else origin[kinds]  # noqa: UP007 (made at run time)


def _with_constraints(kind: Any, marks: Any) -> Any:
    limits = {name: value for mark in marks for name, value in _constraints_of(mark).items()}
    if not limits:
        return kind
    if get_origin(kind) in (Union, UnionType):  # the constraints do not apply to None
        return Union[tuple(member if member is NoneType else _with_meta(member, limits) for member in get_args(kind))]  # noqa: UP007
    return _with_meta(kind, limits)


def _with_meta(kind: Any, limits: dict[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**limits)]


def _constraints_of(mark: Any) -> dict[str, Any]:
    """The msgspec constraints of one pydantic annotation."""
    if isinstance(mark, MaxLen):
        return {"max_length": mark.max_length}
    if isinstance(mark, Ge):
        return {"ge": mark.ge}
    if isinstance(mark, Le):
        return {"le": mark.le}
    limits: dict[str, Any] = {}
    if pattern := getattr(mark, "pattern", None):
        # Python's `$` also stands before a last line feed; pydantic's does not.
        limits["pattern"] = f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern
    if longest := getattr(mark, "max_length", None):
        limits["max_length"] = longest
    return limits
