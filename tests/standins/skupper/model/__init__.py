"""What the stand-ins for Skupper know about its resources; see the package's own first lines."""
