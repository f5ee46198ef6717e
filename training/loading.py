"""What is trained: the base model with its adapter and its tokenizer, and whether one batch fits."""

from typing import Any

import torch

from agent.hub import adapters, catalog
from agent.models.tokens import ChatTokens
from agent.models.weights import load_options, precision
from training.attention import attention_for
from training.config import TrainConfig
from training.errors import TrainConfigError


def load_tokenizer(config: TrainConfig) -> Any:
    """Load the model's tokenizer; check that a chat template of ours fits it and that the model has all its tokens.

    Raises:
        TrainConfigError: The tokenizer belongs to another model.
    """
    from transformers import AutoConfig, AutoTokenizer

    path = catalog.resolve(config.model.name)
    tokenizer = AutoTokenizer.from_pretrained(path)
    width = int(AutoConfig.from_pretrained(path).vocab_size)
    if len(tokenizer) > width:
        raise TrainConfigError(
            f"the tokenizer in {path} has {len(tokenizer)} tokens and the model {width}: it is another model's; fetch "
            "it again"
        )
    ChatTokens(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(config: TrainConfig, device: torch.device) -> Any:
    """Load the base model with the adapter that is to be trained."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(config.seed)
    dtype = precision(config.model.dtype, device)
    options = load_options(dtype, device, attention_for(device), config.model.load_in_4bit)
    model = AutoModelForCausalLM.from_pretrained(catalog.resolve(config.model.name), **options)
    if not config.model.load_in_4bit:
        model = model.to(device)
    if config.train.fused_kernels and device.type == "cuda":
        fuse(model)
    model.config.use_cache = False
    if config.adapter:
        folder = adapters.resolve(config.adapter)
        adapters.check(folder, catalog.resolve(config.model.name))
        model = PeftModel.from_pretrained(model, str(folder), is_trainable=True)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        return model
    lora = LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.modules,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora)


def score_learnt_tokens() -> None:
    """Let TRL score only the tokens that are learnt, on a CPU too.

    Elsewhere than on Triton's devices TRL 1.16 scores every token (``trl.trainer.utils.patch_fused_lm_head``) to keep
    shapes the same for compilers; a CPU compiles nothing, and a seventh of our tokens are learnt. The loss is the same.
    """
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    if hasattr(utils, "_use_triton"):
        utils._use_triton = lambda device: device.type == "cpu" or chunked_logprob._use_triton(device)


def fuse(model: Any) -> None:
    """Put Liger's kernels for norms, rotations and SwiGLU into a model (Hsu et al. 2024, arXiv:2410.10989).

    Raises:
        TrainConfigError: The package is not installed, or has no kernels for this model.
    """
    try:
        from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN as KERNELS
    except ImportError as error:
        raise TrainConfigError("train.fused_kernels needs liger-kernel: pip install 'hippo-llm-memory[gpu]'") from error
    kind = model.config.model_type
    if kind not in KERNELS:
        raise TrainConfigError(f"there are no fused kernels for models of type {kind}: use train.fused_kernels=false")
    KERNELS[kind](model=model, fused_linear_cross_entropy=False, cross_entropy=False)


def probe(trainer: Any, config: TrainConfig) -> None:
    """Run one batch forwards and backwards before the first step, so that errors show early.

    Raises:
        TrainConfigError: The loss mask of the batch is empty, or there is not enough GPU memory.
    """
    batch = next(iter(trainer.get_train_dataloader()))
    if not (batch["labels"] != -100).any():
        raise TrainConfigError("the loss mask of the first batch is empty: are there calls in the episodes?")
    if trainer.accelerator.device.type != "cuda":
        return
    state = torch.get_rng_state(), torch.cuda.get_rng_state()
    if config.train.checkpointing:
        trainer.model.activation_checkpointing_enable()  # as the trainer will do
    try:
        trainer.model.train()
        with trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(trainer.model, {**batch})
        loss.backward()
    except torch.OutOfMemoryError as error:
        total = torch.cuda.get_device_properties(0).total_memory / 2**30
        raise TrainConfigError(
            f"{total:.0f} GiB do not suffice for {config.train.batch} rows of {config.model.seq_len} tokens: try a "
            "smaller train.batch, train.checkpointing=true, model.load_in_4bit=true or a smaller model.seq_len"
        ) from error
    finally:
        trainer.model.zero_grad(set_to_none=True)
        trainer._metrics["train"].clear()
        torch.set_rng_state(state[0])
        torch.cuda.set_rng_state(state[1])
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
