"""Shared fixtures: a memory without a model, the real model once a session."""

from collections.abc import Iterator

import pytest

from agent import catalog
from agent.models.local import LocalModel, LocalModelConfig
from memory import HashingEmbedder, Memory, Provenance


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory.open(None, HashingEmbedder()) as opened:
        yield opened


@pytest.fixture
def origin() -> Provenance:
    return Provenance("test", "doc", "words", time=1.0)


@pytest.fixture(scope="session")
def model() -> LocalModel:
    catalog.fetch("smollm2-135m")
    return LocalModel(LocalModelConfig())
