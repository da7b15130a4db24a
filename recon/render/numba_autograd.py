"""The numba kernels, on the CPU or on CUDA, as functions that torch differentiates."""

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Hard(Function):
    """`kernels.hard_forward` and `kernels.hard_backward`; `eps` has the share of the values and of the gradients."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Any, size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: Any
    ) -> Any:
        xy, features = xy.detach().contiguous(), features.detach().contiguous()
        image, index, weights = kernels.hard_forward(size, z.detach(), xy, features, valid, eps[0])
        ctx.save_for_backward(index, weights, xy, features)
        ctx.kernels, ctx.eps = kernels, eps[1]
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return image, index

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 7
        grad_features, grad_xy = ctx.kernels.hard_backward(grad, *ctx.saved_tensors, ctx.eps)
        return None, None, None, grad_xy, grad_features, None, None


class Soft(Function):
    """`kernels.soft_forward` and `kernels.soft_backward`; `settings`: sigmainv, boxlen, knum, eps of the edges."""

    @staticmethod
    def forward(ctx: Any, kernels: Any, xy: Tensor, index: Tensor, settings: tuple[float, float, int, float]) -> Any:
        xy = xy.detach().contiguous()
        mask, ctx.pairs = kernels.soft_forward(xy, index, settings)
        ctx.save_for_backward(xy, mask)
        ctx.kernels, ctx.settings = kernels, settings
        ctx.set_materialize_grads(False)
        return mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 4
        return None, ctx.kernels.soft_backward(grad, *ctx.saved_tensors, ctx.pairs, ctx.settings), None, None
