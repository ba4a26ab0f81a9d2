"""Imported once by the server that forks the module's processes: what each of them would import again."""

import pytest
from ansible_collections.private_ai.chatbot.plugins.module_utils.hub import client
from ansible_collections.private_ai.chatbot.plugins.modules import hf_snapshot

HUB = client._library()
# The library imports its parts when they are first used.
LOADED = (
    pytest,
    hf_snapshot,
    HUB.HfApi,
    HUB.hf_hub_url,
    HUB.get_hf_file_metadata,
    HUB.utils.filter_repo_objects,
)
