# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image that OpenShift builds from the application's directory, which is sent to it."""

from __future__ import annotations

from .common import Object, Settings, obj


def image_stream(settings: Settings) -> Object:
    """Return where the built image is kept."""
    return obj(settings, "image.openshift.io/v1", "ImageStream", spec={"lookupPolicy": {"local": True}})


def build_config(settings: Settings) -> Object:
    """Return how it is built: from the directory's own Containerfile, on the given base image."""
    build = settings["build"]
    spec = {
        "source": {"type": "Binary", "binary": {}},
        "strategy": {
            "type": "Docker",
            "dockerStrategy": {
                "dockerfilePath": "Containerfile",
                "buildArgs": [{"name": "BASE", "value": build["base_image"]}],
            },
        },
        "output": {"to": {"kind": "ImageStreamTag", "name": f"{settings['name']}:{build['tag']}"}},
        "resources": build["resources"],
        "successfulBuildsHistoryLimit": 2,
        "failedBuildsHistoryLimit": 2,
        "runPolicy": "Serial",
    }
    return obj(settings, "build.openshift.io/v1", "BuildConfig", spec=spec)
