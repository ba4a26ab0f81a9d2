"""`token redeem` on podman, docker and linux: the program itself asks the grant server."""

from __future__ import annotations

import os

import yaml

from ..model.encode import read_documents
from ..model.kinds import Resource, name_of
from ..model.layout import go_error
from ..model.redeem import RedeemError, redeem
from . import files, inputs
from .command import Call
from .errors import Failed, refuse


def run(call: Call) -> None:
    """Asks the grant server, and writes Secret and Links as input; the token's cost is forgotten."""
    wrong: list[str] = []
    inputs.namespace(call, wrong)
    path = inputs.token_file(call, "token file name", wrong)
    if path:
        try:
            os.stat(path)
        except OSError as error:
            wrong.append(f"cannot open token file: {go_error(error, 'stat')}")
    refuse(wrong)
    token = read_token(path)
    if not name_of(token):
        raise Failed("token name is required")
    try:
        # The namespace as it was named, which may be not at all.
        redeemed = redeem(token, call.namespace)
    except RedeemError as error:
        raise Failed(str(error)) from error
    for one in (redeemed.secret, *redeemed.links):
        one["metadata"]["namespace"] = call.namespace
        files.write(one, call.namespace)
    print(f'Token "{name_of(token)}" has been redeemed.')


def read_token(path: str) -> Resource:
    """The first document of a file, whatever it is."""
    try:
        with open(path, encoding="utf-8") as file:
            documents = read_documents(file.read())
    except OSError as error:
        raise Failed(f"unable to read token file - {go_error(error, 'open')}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        raise Failed(f"yaml: line {max(1, line)}: {error.problem}") from error
    first = documents[0] if documents else {}
    return first if isinstance(first, dict) else {}
