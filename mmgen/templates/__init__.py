"""Templates by name or from a mesh file."""

from pathlib import Path

import numpy as np
import torch

from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.core.listing import display_name
from mmgen.templates.build_person import PERSON_FILE
from recon.skinning import Skin
from recon.template import Template, ellipsoid_template, template_from_arrays

TEMPLATE_NAMES = ("person", "ellipsoid")


def named_template(name: str) -> Template:
    """A template by name, or from a mesh file.

    Args:
        name: `person` (a neutral body, bundled), `ellipsoid` (the paper's), or the path of a closed mesh.

    Raises:
        FatalError: `template_missing`, or the file is no usable template; see `mesh_file.load_template`.
    """
    if name == "ellipsoid":
        return ellipsoid_template()
    if name != "person":
        from mmgen.templates.mesh_file import load_template  # trimesh takes a while to load

        return load_template(_file(name))
    with np.load(PERSON_FILE, allow_pickle=False) as arrays:
        return template_from_arrays(
            torch.from_numpy(arrays["vertices"]),
            torch.from_numpy(arrays["faces"]).long(),
            torch.from_numpy(arrays["face_uv"]),
            skin=Skin(
                tuple(arrays["joint_names"].tolist()),
                tuple(arrays["joint_parents"].tolist()),
                torch.from_numpy(arrays["joints"]),
                torch.from_numpy(arrays["bones"]).long(),
                torch.from_numpy(arrays["weights"]),
            ),
        )


def template_digest(name: str) -> str:
    """What identifies the template in a content key: its name, or the hash of its file.

    Raises:
        FatalError: `template_missing`.
    """
    return name if name in TEMPLATE_NAMES else sha256_file(_file(name))


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise FatalError(
            "template_missing",
            f"template {display_name(path)} is neither {' nor '.join(TEMPLATE_NAMES)} nor a file",
            "Check the name, or give the path of a closed mesh.",
        )
    return path
