"""The six beats that every module dances: predicted, done, unchanged, predicted, changed, gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[..., dict[str, Any]]


def six_beats(
    call: Call,
    fingerprint: Callable[[], str],
    first: dict[str, Any],
    second: dict[str, Any],
    key: str,
    untold: tuple[str, ...] = ("inter_router_port",),
) -> None:
    """Present, again, changed and absent, each predicted by check mode, which writes nothing.

    :param call: the module, with the options that stay.
    :param fingerprint: tells whether anything was written.
    :param key: the object in the result.
    :param untold: options that the object does not repeat (a router access tells its ports as roles).
    """

    def beat(options: dict[str, Any], changed: bool) -> dict[str, Any]:
        before = fingerprint()
        predicted = call(check=True, **options)
        assert not predicted.get("failed"), predicted
        assert fingerprint() == before, "check mode wrote something"
        done = call(**options)
        assert not done.get("failed"), done
        assert predicted["changed"] == done["changed"] == changed, (predicted, done)
        assert predicted["diff"] == done["diff"], (predicted["diff"], done["diff"])
        if not changed:
            assert done["diff"]["before"] == done["diff"]["after"]
            assert fingerprint() == before, "an unchanged run wrote something"
        return done

    beat(first, True)
    beat(first, False)
    done = beat(second, True)
    assert done["diff"]["before"] != {}
    told = {option: value for option, value in second.items() if option not in untold}
    assert {option: done[key][option] for option in told} == told
    beat(second, False)
    gone = beat({**second, "state": "absent"}, True)
    assert gone[key] is None and gone["diff"]["after"] == {}
    beat({**second, "state": "absent"}, False)
