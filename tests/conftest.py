"""Shared fixtures: a memory without a model, the real model once a session."""

import platform
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
import torch
from typer.testing import CliRunner

from agent.hub import catalog
from agent.models.local import LocalModel, LocalModelConfig
from memory import HashingEmbedder, Memory, Provenance


@pytest.fixture(scope="session")
def cli() -> Callable[..., tuple[int, str, str]]:
    """Run ``hippo`` with these arguments; gives exit code, stdout and stderr."""
    from agent.commands.main import app

    def run(*arguments: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, list(map(str, arguments)))
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory.open(None, HashingEmbedder()) as opened:
        yield opened


@pytest.fixture
def origin() -> Provenance:
    return Provenance("test", "doc", "words", time=1.0)


@pytest.fixture(scope="session")
def dtype() -> Literal["bfloat16", "float32"]:
    """Precision of models: float32 where the processor has no instructions for bfloat16, which is many times slower."""
    native = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported() or platform.machine() == "arm64"
    return "bfloat16" if native else "float32"


@pytest.fixture(scope="session")
def model(dtype: Literal["bfloat16", "float32"]) -> LocalModel:
    """The default model."""
    catalog.fetch("smollm2-135m")
    return LocalModel(LocalModelConfig(dtype=dtype))
