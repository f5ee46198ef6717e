"""Settings of a local model, apart from the model, which takes seconds to import."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalModelConfig(BaseModel):
    """Settings of a local model."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("smollm2-135m", description="Catalogue name, or a folder with safetensors.")
    device: str = Field("auto", description="auto (CUDA if there), cpu, cuda, cuda:1 ...")
    backend: Literal["auto", "torch", "onnx"] = Field(
        "auto",
        description="What computes: PyTorch, or ONNX Runtime on a CPU; auto takes what `hippo models prepare` made.",
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="Precision of weights.")
    load_in_4bit: bool = Field(False, description="Quantise the weights to NF4 (bitsandbytes).")
    adapter: str | None = Field(None, description="Folder of a PEFT adapter, or the name of one that ships.")
    merge: bool = Field(True, description="Add the adapter to the weights, which is faster; not in 4 bit.")
    seq_len: int = Field(1024, ge=128, description="Window in tokens.")
    max_call_tokens: int = Field(96, ge=16, description="Longest call in tokens.")
    extractive: bool = Field(
        True, description="Whether names told to the graph, and answers, may use only words in the window."
    )
    temperature: float = Field(0.0, ge=0, description="0: greedy; above 0: sampling with the episode's seed.")
