"""Stand-in for Skupper's router, for tests: it really moves bytes between sites, by a protocol of its own.

It reads the real router's configuration (`skrouterd.json`) and the real certificates, dials and accepts links
with mutual TLS on the ports for inter-router and edge connections, tells the other routers what its site
offers, and carries TCP connections of a listener to a connector with the same routing key, over several
routers if need be. What it speaks on a link is not AMQP: it links with other stand-ins only.
It imports nothing but Python's own library, since it also runs in pods.
"""
