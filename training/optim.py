"""Muon for the weight matrices: momentum, then the update made orthogonal by Newton-Schulz steps.

An orthogonal update has the same size in every direction and whatever the gradient's size, which
suits quadratics (their gradients have heavy tails), and reaches a given accuracy in fewer epochs
than SGD here. Weights before a batch normalisation are kept at a fixed norm: only their direction
matters, and then the learning rate is a relative step.
Method: K. Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.
"""
import torch


@torch.no_grad()
def orthogonalise(g, steps=3):
    """A matrix near U V^T of the singular value decomposition of `g` (quintic Newton-Schulz)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.t()
    for _ in range(steps):
        s = x @ x.t()
        t = torch.addmm(s, s, s, beta=b, alpha=c)
        x = torch.addmm(x, t, x, beta=a)
    return x.t() if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr=0.03, momentum=0.85, clip=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum))
        self.clip = clip    # a gradient counts at most so many times its average size; 0: no limit

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "buf" not in state:
                    state["buf"] = torch.zeros_like(p)
                if self.clip:
                    # One that is far larger, from a single image that blows up, would fill the momentum for many steps.
                    size = p.grad.norm().item()
                    usual = state.get("size") or size     # 0 in the first step, where the layer has no say yet
                    if size > self.clip * usual:
                        p.grad.mul_(self.clip * usual / size)
                    state["size"] = 0.95 * usual + 0.05 * min(size, self.clip * usual)
                buf = state["buf"].mul_(group["momentum"]).add_(p.grad)
                g = p.grad.add(buf, alpha=group["momentum"])  # Nesterov
                rows = len(p)
                p.mul_(rows ** 0.5 / (p.norm() + 1e-7))
                u = orthogonalise(g.reshape(rows, -1)).reshape(p.shape)
                # The update gets the weight's norm, so lr is the relative step.
                p.add_(u, alpha=-group["lr"] * rows ** 0.5 / (u.norm().item() + 1e-7))
