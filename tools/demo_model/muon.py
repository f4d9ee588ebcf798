"""Muon: momentum whose update is made orthogonal, for the matrices of the layers.

After Keller Jordan's description; matrices of one shape are worked on together, which
is twice as fast on a processor as one by one.
"""

import torch


def orthogonal(stack):
    """Matrices with the singular vectors of these, and singular values near one."""
    x = stack.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = torch.baddbmm(
            x, torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315), x, beta=3.4445
        )
    return x.float()


class Muon(torch.optim.Optimizer):
    """The matrices of one shape form a group of their own."""

    def __init__(self, matrices, rate, momentum=0.95, weight_decay=0.05):
        shapes = {}
        for matrix in matrices:
            shapes.setdefault(tuple(matrix.shape), []).append(matrix)
        groups = [{"params": same} for same in shapes.values()]
        super().__init__(groups, {"lr": rate, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        """One update from the gradients at hand."""
        for group in self.param_groups:
            params = group["params"]
            rows, columns = params[0].shape
            slope = torch.stack([p.grad if rows <= columns else p.grad.mT for p in params])
            mean = self.state[params[0]].setdefault("mean", torch.zeros_like(slope))
            mean.lerp_(slope, 1 - group["momentum"])
            update = orthogonal(slope.lerp(mean, group["momentum"]))
            length = group["lr"] * max(1, rows / columns) ** 0.5
            for param, change in zip(params, update):
                param.mul_(1 - group["lr"] * group["weight_decay"])
                param.sub_(change if rows <= columns else change.mT, alpha=length)
