"""The file of the person network: weights in half precision, and a header that says what they are."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmgen.core.documents import decode
from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name

if TYPE_CHECKING:
    from recon.segmentation import PersonNetwork, PersonNetworkConfig

SCHEMA = "mmgen.person-network/1"
HEADER_KEY = "mmgen"


@dataclass(frozen=True)
class PersonModel:
    """A network and the size of what it looks at."""

    network: "PersonNetwork"
    config: "PersonNetworkConfig"


def read_network(path: Path) -> PersonModel:
    """Build the network of a file that `write_network` wrote.

    Raises:
        FatalError: `mask_network_unusable`.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    from recon.segmentation import PersonNetwork, PersonNetworkConfig

    try:
        with safe_open(path, framework="pt") as file:
            header = decode((file.metadata() or {})[HEADER_KEY].encode(), dict[str, Any])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        if header["schema"] != SCHEMA:
            raise ValueError(f"schema {header['schema']!r}, not {SCHEMA!r}")
        config = PersonNetworkConfig.from_dict(header["config"])
        network = PersonNetwork(is_folded=True)
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FatalError(
            "mask_network_unusable",
            f"the mask network {display_name(path)} cannot be used: {first}"[:300],
            "Install mmgen again, or give masks with --masks DIR.",
        ) from error
    return PersonModel(network.eval().to(memory_format=torch.channels_last), config)  # type: ignore[call-overload]


def write_network(path: Path, network: "PersonNetwork", config: "PersonNetworkConfig", about: dict[str, Any]) -> None:
    """Write a folded network in half precision, whole or not at all; the same network gives the same bytes.

    Args:
        network: as `recon.segmentation.folded` gives it.
        about: more for the header; JSON values.
    """
    from safetensors.torch import save

    from mmgen.core.files import write_bytes_atomic

    header = {"schema": SCHEMA, "config": config.to_dict(), **about}
    tensors = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    write_bytes_atomic(path, save(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True, allow_nan=False)}))
