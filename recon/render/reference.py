"""DIB-R in dense PyTorch: the readable truth that every backend is tested against, values and gradients. Slow; any device and dtype.

**Hard pass.** Pixel p is inside face (a, b, c) when it is in the face's half-open bounding box and the edge functions
`w0 = (b-p)x(c-p)`, `w1 = (c-p)x(a-p)`, `w2 = (a-p)x(b-p)` have no two opposite signs (either winding). Weights are `w_i / n` with
`n = w0 + w1 + w2`, moved away from zero by eps. Depth `z = sum w_i z_i` is affine in the screen; the largest z wins, ties go to the
lowest face index. Features are interpolated with the same weights: affine, not perspective-correct.

**Hard gradients.** The winner is fixed and z has no gradient. In the position gradient the area carries eps *unscaled*, as in kaolin,
which damps slivers; `w0` is `1 - w1 - w2` there.

**Soft pass.** Covered pixels are exactly 1, without gradient. Any other pixel takes the first `knum` faces by index, whichever way they
look, whose box enlarged by `boxlen` holds it: `mask = 1 - prod(1 - exp(-sigmainv d2))`, d2 the squared distance to the nearest edge or
corner (first of equals in the order e0, e1, e2, a, b, c).

Faces with a coordinate that is not finite do not exist for either pass.

Source: Chen et al., Learning to Predict 3D Objects with an Interpolation-based Differentiable Renderer (arXiv 1908.01210), as
implemented by NVIDIA kaolin 0.12 to 0.18. Differences on purpose: kaolin lets a face with NaN claim pixels, and a zero-length edge at the
image origin fill its box; here the first does not exist and the second is a point.
"""

EDGE_EPS = 1e-7
"""Added to squared edge lengths, in units of 1 / multiplier."""

SLACK = 1e-7
"""Keeps the division by 1 - p finite in the gradient of the soft mask."""
