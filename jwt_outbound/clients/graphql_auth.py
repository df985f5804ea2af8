"""What a GraphQL API says with HTTP 200 when it means a 401."""

import json
from collections.abc import Collection
from typing import Any, TypeGuard

from jwt_outbound.clients.httpx_auth import TokenPairAuth


class GraphQLAuth(TokenPairAuth):
    """As `TokenPairAuth`; an error code of the body counts as a refusal of the token, too."""

    requires_response_body = True

    def __init__(self, service: str, user: Any, codes: Collection[str]) -> None:
        super().__init__(service, user)
        self._codes = frozenset(codes)

    def _is_refusal(self, response: Any) -> bool:
        if super()._is_refusal(response):
            return True
        results = _results(response.content) if self._may_say_so(response.content) else []
        if not any(self._says_so(result) for result in results):
            return False
        return not any(_has_data(result) for result in results) or _only_reads(response.request)

    def _may_say_so(self, content: bytes) -> bool:
        """Most answers hold none of the codes, and are parsed once only, by gql."""
        return any(code.encode() in content for code in self._codes)

    def _says_so(self, result: dict[str, Any]) -> bool:
        errors = result.get("errors")
        codes = [_code(error) for error in errors] if isinstance(errors, list) else []
        return any(isinstance(code, str) and code in self._codes for code in codes)


def _results(content: bytes) -> list[dict[str, Any]]:
    """Those of the answer: one, or one for each operation of a batch."""
    try:
        found = json.loads(content)
    except ValueError:
        return []
    return [each for each in (found if isinstance(found, list) else [found]) if _is_dict(each)]


def _is_dict(thing: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(thing, dict)


def _code(error: Any) -> Any:
    extensions = error.get("extensions") if _is_dict(error) else None
    return extensions.get("code") if _is_dict(extensions) else None


def _has_data(result: dict[str, Any]) -> bool:
    """Whether some field was answered: then a mutation was carried out in part."""
    data = result.get("data")
    return _is_dict(data) and any(value is not None for value in data.values())


def _only_reads(request: Any) -> bool:
    """Whether nothing but queries was sent, which may be sent again whatever they did."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        sent = json.loads(request.content)
        documents = [parse(each["query"]) for each in (sent if isinstance(sent, list) else [sent])]
    except (RuntimeError, ValueError, LookupError, TypeError, GraphQLError):
        return False  # a form with files, or nothing that we know
    nodes = [node for document in documents for node in document.definitions]
    operations = [node.operation for node in nodes if isinstance(node, OperationDefinitionNode)]
    return all(operation is OperationType.QUERY for operation in operations)
