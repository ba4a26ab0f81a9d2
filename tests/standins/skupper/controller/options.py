"""How the stand-in controller works: where, and with which of the real one's habits."""

from __future__ import annotations

from dataclasses import dataclass

from ..router.adaptor import AT_ONCE, MEASURED, Delays
from ..router.image import TAG


@dataclass(frozen=True)
class Habits:
    """The real controller's habits, as they were measured.

    :param resync: seconds after which everything is looked at again, spent tokens included.
    :param second_event: a Link is only remembered when it is new, and configured at the next event.
    :param redeem_limit: seconds for a grant server, during which nothing else is done; None is no limit.
    :param starting: seconds that each stage of a router's start takes.
    :param quick_keys: keys on an elliptic curve, which take no time to make.
    """

    resync: float = 30.0
    second_event: bool = True
    redeem_limit: float | None = None
    delays: Delays = MEASURED
    quick_keys: bool = False
    starting: float = 0.9


FAST = Habits(2.0, False, 5.0, AT_ONCE, True, 0.01)


@dataclass(frozen=True)
class Options:
    """Options of the controller; README-like explanations are in `__main__`."""

    fast: bool = False
    namespaces: tuple[str, ...] = ()
    routers: str = "process"
    host: str = "127.0.0.1"
    grant_port: int = 0
    cluster_host: str = "127.0.0.1"
    access_types: tuple[str, ...] = ("loadbalancer", "nodeport", "local")
    router_image: str = TAG
    collect: bool = False
    home: str = "skupper"

    @property
    def habits(self) -> Habits:
        """The habits that these options ask for."""
        return FAST if self.fast else Habits()
