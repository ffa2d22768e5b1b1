"""A contract's model in, a struct of the same members out: read and written in a tenth of the time. Pure; no I/O."""

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
    """The struct of a model: the same members, defaults, lengths, patterns and names on the wire.

    Gives: what the type checker may take for the model itself: attributes are read and the constructor is called alike.
           It has no method of pydantic's, and its constructor checks nothing: that is for what comes from outside.
    Reads: at most what the model reads. What it refuses the model may still take (`"5"` for 5, a member that a newer
           writer added): ask the model then.
    Raises: TypeError, for a model with validators: a struct knows nothing of them.
    """
    return _build_struct(model)


def json_decoder(model: type[ModelT]) -> Callable[[bytes], ModelT]:
    """What reads JSON into the model's struct. Raises: msgspec.MsgspecError, UnicodeDecodeError, RecursionError."""
    return _build_decoder(model)


_encoder = msgspec.json.Encoder(enc_hook=lambda model: model.model_dump(exclude_none=True, by_alias=True))


def encode_json(struct: BaseModel) -> bytes:
    """The JSON of a struct, which may hold models. Members that are none are left out."""
    return _encoder.encode(struct)


@cache
def _build_decoder(model: type[BaseModel]) -> Any:
    return msgspec.json.Decoder(_build_struct(model)).decode


@cache
def _build_struct(model: type[BaseModel]) -> Any:
    asked = model.__pydantic_decorators__
    if asked.validators or asked.field_validators or asked.root_validators or asked.model_validators:
        raise TypeError(f"{model.__name__} has validators, a struct would not ask them")
    hints = get_type_hints(model, include_extras=True)
    fields = [_struct_field(name, hints[name], field) for name, field in model.model_fields.items()]
    renamed = {name: field.alias for name, field in model.model_fields.items() if field.alias}
    constants = {name: getattr(model, name) for name in model.__class_vars__}
    return msgspec.defstruct(
        model.__name__, fields, namespace=constants, module=model.__module__, rename=renamed or None,
        frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True,
    )  # fmt: skip


def _struct_field(name: str, hint: Any, field: FieldInfo) -> tuple[str, Any, Any]:
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint  # its marks stand in the metadata as well
    kind = _with_constraints(_msgspec_type(bare), field.metadata)
    if field.is_required():
        return name, kind, msgspec.NODEFAULT
    if field.default is None:
        return name, kind, None
    made: Callable[[], Any] = field.default_factory or partial(_to_struct, field.default)  # pyright: ignore[reportAssignmentType]
    # By a factory that msgspec does not know: it leaves out what equals a plain default, and only none may be left out.
    return name, kind, msgspec.field(default_factory=partial(made))


def _to_struct(value: Any) -> Any:
    return msgspec_struct(type(value))(**dict(value)) if isinstance(value, BaseModel) else value


def _msgspec_type(hint: Any) -> Any:
    """A type as pydantic reads it, as msgspec does."""
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
    if get_origin(kind) in (Union, UnionType):  # none is exempt from what is asked of the rest
        return Union[tuple(one if one is NoneType else _with_meta(one, limits) for one in get_args(kind))]  # noqa: UP007
    return _with_meta(kind, limits)


def _with_meta(kind: Any, limits: dict[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**limits)]


def _constraints_of(mark: Any) -> dict[str, Any]:
    """What one of pydantic's marks on a type asks for, in msgspec's words."""
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
