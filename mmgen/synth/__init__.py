"""Procedural clothed people with exact truth: mesh, colours, camera and light of every picture.

`identity` says who, `sample_pose` how they stand, `body_mesh` makes their surface, `render_view` a picture of it;
`people` does all of it in memory and `dataset.CrowdWriter` into a data set folder.

Train and test people come from random streams with different names (`streams.stream`): whatever the seeds and the
numbers of identities, no test person is ever a training person.
"""

from mmgen.synth.crowd import CrowdOptions, Person, people, person_pictures
from mmgen.synth.identity import Identity, identity
from mmgen.synth.mesh import BodyMesh, body_mesh
from mmgen.synth.pose import NEUTRAL, Pose, sample_pose
from mmgen.synth.street import StreetCamera, street_camera
from mmgen.synth.view import Picture, Truth, View, render_view
from mmgen.synth.viewpoint import sample_view

__all__ = [
    "NEUTRAL",
    "BodyMesh",
    "CrowdOptions",
    "Identity",
    "Person",
    "Picture",
    "Pose",
    "StreetCamera",
    "Truth",
    "View",
    "body_mesh",
    "identity",
    "people",
    "person_pictures",
    "render_view",
    "sample_pose",
    "sample_view",
    "street_camera",
]
