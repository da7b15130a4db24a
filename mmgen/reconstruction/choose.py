"""Which way of reconstructing the options ask for."""

from typing import Any

from mmgen.bundled import bundled_weights_path
from mmgen.reconstruction.job import ReconstructorLike
from mmgen.reconstruction.result import ReconstructOptions


def default_options(**changes: Any) -> ReconstructOptions:
    """Options of a user who names no method: the bundled networks, or a fit in a build without them."""
    return ReconstructOptions(**{"weights": bundled_weights_path(), **changes})


def build_reconstructor(options: ReconstructOptions) -> ReconstructorLike:
    """The reconstructor that the options ask for; picklable with `functools.partial`.

    Raises:
        FatalError: the weights file cannot be used.
    """
    if options.weights is None:
        from mmgen.reconstruction.fit import FitReconstructor

        return FitReconstructor(options)
    if options.by_identity:
        from mmgen.reconstruction.identity import IdentityReconstructor

        return IdentityReconstructor(options)
    from mmgen.reconstruction.network import NetworkReconstructor

    return NetworkReconstructor(options)
