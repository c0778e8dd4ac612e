"""Where a run computes: device, precision, and the processes of one launch, through accelerate.

The same loop runs on one CPU, one GPU, and several processes (`accelerate launch`, `torchrun`, or
`srun` with one task a device).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn

from mindeye_cli.core.allocator import gives_back, keep_freed_blocks
from mindeye_cli.core.launch import world_size
from mindeye_cli.models.running import use_fast_products
from mindeye_cli.train.config import Precision
from mindeye_store.errors import UsageProblem

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class InPrecision(nn.Module):
    """A model whose forward pass computes in half precision; losses outside stay float32."""

    def __init__(self, model: nn.Module, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self._device, self._dtype = device, dtype

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own, under autocast."""
        with torch.autocast(self._device, self._dtype):
            return self.model(*args, **kwargs)


class Engine:
    """Device, precision and processes of one training run.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16"}

    Attributes
    ----------
    device : torch.device
    rank, world : int
        This process, and the number of processes.

    Raises
    ------
    UsageProblem
        The processes of a launcher did not find each other.
    """

    def __init__(self, precision: Precision) -> None:
        # Without a GPU accelerate joins the processes of torchrun only when told to use the CPU.
        self._accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            mixed_precision="no",
            kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
        )
        self.device = self._accelerator.device
        if self.device.type == "cpu":
            self.device = torch.device("cpu")  # accelerate numbers the CPUs of a launch
        use_fast_products(self.device)
        self.rank, self.world = self._accelerator.process_index, self._accelerator.num_processes
        if self.world != world_size():
            raise UsageProblem(
                f"the launcher started {world_size()} processes, {self.world} found each other",
                where="WORLD_SIZE",
                fix="start them with torchrun, accelerate launch --multi_gpu, or srun",
            )
        self._dtype = DTYPES.get(precision)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model on the device, in the run's precision, its gradients averaged over processes.

        The weights stay those of `model`, which may still be called by itself.
        """
        if self.device.type == "cpu" and gives_back(model):
            keep_freed_blocks()
        if self._dtype is not None:
            model = InPrecision(model, self.device.type, self._dtype)
        wrapped: nn.Module = self._accelerator.prepare_model(model)
        return wrapped

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one batch, or of one part of it."""
        self._scaler.scale(loss).backward()

    def part(self, model: nn.Module, last: bool) -> AbstractContextManager[Any]:
        """Context of one part's passes: only the last part's are averaged over processes."""
        return nullcontext() if last else self._accelerator.no_sync(model)

    def step(self, optimizer: torch.optim.Optimizer, model: nn.Module, clip: float) -> None:
        """One step of the optimiser, with the gradient's norm bounded by `clip` unless it is 0."""
        if clip > 0.0:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        self._scaler.step(optimizer)
        self._scaler.update()

    def mean(self, value: Tensor) -> Tensor:
        """Mean of a detached value over processes."""
        if self.world == 1:
            return value
        mean: Tensor = self._accelerator.reduce(value, reduction="mean")
        return mean

    def any(self, flag: bool) -> bool:
        """Whether any process says yes; every process gets the same answer."""
        if self.world == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            self._accelerator.wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process go through a block before the others."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()

    def scaler_state(self) -> dict[str, Any]:
        """State of the loss scaler; empty but for fp16."""
        return dict(self._scaler.state_dict())

    def restore_scaler(self, state: dict[str, Any]) -> None:
        """Continue with the loss scaler of a checkpoint."""
        if state:
            self._scaler.load_state_dict(state)
