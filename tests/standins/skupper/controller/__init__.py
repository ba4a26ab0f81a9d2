"""Stand-in for Skupper's controller, for tests: it does to a real API server what 2.2.1 was seen to do.

Conditions in the recorded order, grants over HTTPS, redemption with its counter and its failures, link
access, Services of listeners, routers (the stand-in of `..router`, as processes or as pods), what the routers
see of the network, what is left after a deletion; and the habits that hurt, unless it is told to be fast.
"""

from .controller import Controller
from .options import Options

__all__ = ["Controller", "Options"]
