"""Errors that a visitor is told about, in the form of the OpenAI API."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer with an HTTP error status.

    `message` names the value, the limit and the remedy and is shown to the visitor, so it never holds
    a key, an address of the private side or text of somebody else. `outcome` is the label in the metrics
    and the log.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        retry_after: int | None = None,
        outcome: str = "invalid",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.param = param
        self.retry_after = retry_after
        self.outcome = outcome

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}` as clients of the OpenAI API expect it."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Headers that belong to this error."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def invalid(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """400: a field has a value that is not allowed."""
    return ApiError(400, message, code=code, param=param)


def too_large(message: str, param: str | None, code: str) -> ApiError:
    """413: the body, a message or the conversation is longer than this server takes."""
    return ApiError(413, message, code=code, param=param)
