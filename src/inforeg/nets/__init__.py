"""Networks: images in, what a transform is made of out."""

from inforeg.nets.keypoint_net import KeypointNet, KeypointNetSettings, Keypoints
from inforeg.nets.unet import UNet
from inforeg.nets.velocity_net import VelocityBelief, VelocityNet, VelocityNetSettings

__all__ = [
    "KeypointNet",
    "KeypointNetSettings",
    "Keypoints",
    "UNet",
    "VelocityBelief",
    "VelocityNet",
    "VelocityNetSettings",
]
