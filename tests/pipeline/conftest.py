"""The Hub and the host of the pipeline's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.host import REPOSITORY, Host, demo_files
from tests.standins.hub.repository import Repository
from tests.standins.hub.serve import StandInHub


@pytest.fixture(scope="session")
def hub() -> Iterator[StandInHub]:
    """A stand-in Hub."""
    with StandInHub() as running:
        yield running


@pytest.fixture(scope="session")
def repository(hub: StandInHub) -> Repository:
    """The demo model on it, as a repository of somebody else's."""
    found = hub.add(Repository(REPOSITORY))
    found.commit(demo_files())
    return found


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, hub: StandInHub, repository: Repository) -> Iterator[Host]:
    """This machine as the private side; what was started goes at the end."""
    assert repository.commits
    folder = tmp_path_factory.mktemp("pipeline")
    # Containers read the models as another user.
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    made = Host(folder, hub.url)
    yield made
    status, said = made.play(private_model_state="absent")
    assert status == 0, said
