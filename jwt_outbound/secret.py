"""A token inside this process: an opaque value that shows nothing of itself."""

from typing import Any, NoReturn, Self, final


@final
class Secret:
    """Wraps a token so that no repr, format, pickle, JSON or comparison by hash gives it away.

    `reveal()` is the only way out, and stands only where the token is sent, sealed or handed to
    the caller who asked for it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The token itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "<Secret>" if self._value else "<Secret: empty>"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "A token is never pickled: pass the user's id and the service's name instead, "
            "and fetch the token where it is needed."
        )


class HeaderBytes(bytes):
    """A `Header` on its way to the socket: httpx keeps its headers as bytes."""

    def __repr__(self) -> str:
        return "b'<Secret>'"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return bytes, (b"<Secret>",)


class Header(str):
    """The value of an Authorization header: text for whoever sends it.

    A request that is printed, pickled with its response, or found among the local variables on an
    error page does not show it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'<Secret>'"

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> HeaderBytes:
        """As text does, but as bytes that do not show themselves either."""
        return HeaderBytes(super().encode(encoding, errors))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return str, ("<Secret>",)
