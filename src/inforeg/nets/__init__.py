"""Networks: images in, what a transform is made of out."""

from inforeg.nets.displacement_net import DisplacementNet, DisplacementNetSettings
from inforeg.nets.keypoint_net import KeypointNet, KeypointNetSettings, Keypoints
from inforeg.nets.patch_net import PatchMetric, PatchMetricSettings, PatchNet, PatchNetSettings
from inforeg.nets.unet import UNet
from inforeg.nets.velocity_net import VelocityBelief, VelocityNet, VelocityNetSettings

__all__ = [
    "DisplacementNet",
    "DisplacementNetSettings",
    "KeypointNet",
    "KeypointNetSettings",
    "Keypoints",
    "PatchMetric",
    "PatchMetricSettings",
    "PatchNet",
    "PatchNetSettings",
    "UNet",
    "VelocityBelief",
    "VelocityNet",
    "VelocityNetSettings",
]
