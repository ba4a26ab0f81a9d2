"""Checks of arguments and flags that several commands share; each adds to the list of what is wrong."""

from __future__ import annotations

from ..model import durations
from . import validate
from .command import Call

Wrong = list[str]


def namespace(call: Call, wrong: Wrong) -> str:
    """The namespace of a site that is not on Kubernetes."""
    if call.namespace and (error := validate.namespace(call.namespace)):
        wrong.append(f"namespace is not valid: {error}")
    return call.namespace or "default"


def named_port(call: Call, noun: str, wrong: Wrong) -> tuple[str, int]:
    """`<name> <port>`; a port is any number that is not negative."""
    if len(call.args) < 2:
        wrong.append(f"{noun} name and port must be configured")
        return "", 0
    if len(call.args) > 2:
        wrong.append("only two arguments are allowed for this command")
        return "", 0
    name, port = call.args
    if not name or not port:
        wrong.append(f"{noun} {'port' if name else 'name'} must not be empty")
        return "", 0
    if error := validate.name(name):
        wrong.append(f"{noun} name is not valid: {error}")
        name = ""
    number, error = validate.integer(port)
    for problem in (error, validate.positive(number)):
        if problem:
            wrong.append(f"{noun} port is not valid: {problem}")
    return name, number


def one_name(call: Call, noun: str, missing: str, wrong: Wrong) -> str:
    """`<name>`; `missing` is how the program asks for it."""
    name = ""
    if not call.args:
        wrong.append(f"{noun} name must be {missing}")
    elif len(call.args) > 1:
        wrong.append("only one argument is allowed for this command")
    elif not call.args[0]:
        wrong.append(f"{noun} name must not be empty")
    elif error := validate.name(call.args[0]):
        wrong.append(f"{noun} name is not valid: {error}")
    else:
        name = call.args[0]
    return name


def site_name(call: Call, wrong: Wrong) -> str:
    """The name of a site that is made."""
    if not call.args or not call.args[0]:
        wrong.append("site name must not be empty")
        return ""
    if len(call.args) > 1:
        stop = "." if call.platform == "kubernetes" else ""
        wrong.append(f"only one argument is allowed for this command{stop}")
        return ""
    if error := validate.name(call.args[0]):
        wrong.append(f"site name is not valid: {error}")
    return call.args[0]


def optional_name(call: Call, noun: str, wrong: Wrong) -> str:
    """`[name]`."""
    return one_name(call, noun, "", wrong) if call.args else ""


def token_file(call: Call, noun: str, wrong: Wrong) -> str:
    """The path of a token's file."""
    if not call.args:
        wrong.append(f"{noun} must be configured")
    elif len(call.args) > 1:
        wrong.append("only one argument is allowed for this command")
    elif not call.args[0]:
        wrong.append("file name must not be empty")
    elif error := validate.file_name(call.args[0]):
        wrong.append(f"token file name is not valid: {error}")
    else:
        return call.args[0]
    return ""


def routing_key(call: Call, wrong: Wrong) -> str:
    """A routing key, if one is given."""
    key = str(call["routing-key"])
    if key and (error := validate.name(key)):
        wrong.append(f"routing key is not valid: {error}")
    return key


def kind_of_traffic(call: Call, noun: str, wrong: Wrong) -> str:
    """`--type`."""
    type_ = str(call["type"])
    if type_ and (error := validate.option(type_, validate.TYPES)):
        wrong.append(f"{noun} type is not valid: {error}")
    return type_


def host(call: Call, wrong: Wrong) -> str:
    """`--host`."""
    value = str(call["host"])
    if value and (error := validate.host(value)):
        wrong.append(f"host is not valid: {error}")
    return value


def credentials(call: Call, label: str, wrong: Wrong) -> str:
    """`--tls-credentials` by the look of the name only."""
    name = str(call["tls-credentials"])
    if name and (error := validate.name(name)):
        wrong.append(f"{label} is not valid: {error}")
    return name


def output(call: Call, wrong: Wrong, label: str = "output type is not valid:") -> str:
    """`-o`."""
    value = str(call["output"])
    if value and (error := validate.option(value, validate.OUTPUTS)):
        wrong.append(f"{label} {error}")
    return value


def timeout(call: Call, wrong: Wrong) -> float:
    """`--timeout`."""
    seconds = float(call["timeout"])
    if error := validate.at_least(seconds, 10):
        wrong.append(f"timeout is not valid: {error}")
    return seconds


def wait(call: Call, wrong: Wrong) -> str:
    """`--wait ready|configured|none`."""
    value = str(call["wait"])
    if value and (error := validate.option(value, validate.WAITS)):
        wrong.append(f"status is not valid: {error}")
    return value


def cost(call: Call, wrong: Wrong) -> int:
    """`--cost`, which is text."""
    number, error = validate.integer(str(call["cost"]))
    for problem in (error, validate.positive(number)):
        if problem:
            wrong.append(f"link cost is not valid: {problem}")
    return number


def link_access(call: Call, wrong: Wrong) -> str:
    """`--enable-link-access` and its type."""
    type_ = str(call["link-access-type"])
    if type_ and (error := validate.option(type_, validate.LINK_ACCESS)):
        wrong.append(f"link access type is not valid: {error}")
    if type_ and not call["enable-link-access"]:
        wrong.append(
            "for the site to work with this type of linkAccess, "
            "the --enable-link-access option must be set to true"
        )
    return (type_ or "default") if call["enable-link-access"] else ""


def target(call: Call, wrong: Wrong) -> str:
    """The selector of a connector, of which host, selector and workload only one can be given."""
    given = {name: str(call[name]) for name in ("host", "selector", "workload")}
    for name, others in (
        ("host", "workload or selector"),
        ("selector", "workload or host"),
        ("workload", "selector or host"),
    ):
        if not given[name]:
            continue
        if any(given[other] for other in given if other != name):
            wrong.append(f"If {name} is configured, cannot configure {others}")
        if name == "host":
            host(call, wrong)
        elif name == "selector" and (error := validate.selector(given[name])):
            wrong.append(f"selector is not valid: {error}")
    return given["selector"]


def window(call: Call, wrong: Wrong) -> str:
    """`--expiration-window` as the API wants it."""
    seconds = float(call["expiration-window"])
    if error := validate.at_least(seconds, 60):
        wrong.append(f"expiration time is not valid: {error}")
    return durations.show(seconds)
