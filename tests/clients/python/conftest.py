"""Where the servers are: `corral serve`, and one whose model follows the script in a message."""

import os

import pytest


@pytest.fixture(scope="session")
def url() -> str:
    return os.environ["CORRAL_URL"]


@pytest.fixture(scope="session")
def scripted_url() -> str:
    """See tests/support/script.py for what a message may ask for."""
    return os.environ["SCRIPTED_URL"]
