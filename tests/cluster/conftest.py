"""The cluster of these tests."""

from tests.cluster.fixtures import api, cluster, web

__all__ = ["api", "cluster", "web"]
