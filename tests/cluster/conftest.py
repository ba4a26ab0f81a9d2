"""The cluster of these tests."""

from tests.cluster.fixtures import api

__all__ = ["api"]
