"""Stand-ins for Skupper 2.2.1, for the tests of this collection where the real programs are not at hand.

`bin/skupper` stands in for the command-line program, on every platform (kubernetes, podman, docker, linux).
What the stand-ins share is in `model`: the resources and how they are written, conditions, certificates,
the router's configuration, the redemption of tokens. `cli` is the program, `controller` the controller for
Kubernetes, on a real API server, `router` the router, which really moves bytes between sites. `fixtures` is
what the real program was seen to do; tests/skupper compares row by row. They are made for tests, and secure
nothing. `kube` is the client of all that runs beside an API server.
"""
