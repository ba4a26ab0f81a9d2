"""The stand-in `skupper` program; see the package's own first lines."""
