"""Networks: images in, what a transform is made of out."""

from inforeg.nets.unet import UNet
from inforeg.nets.velocity_net import VelocityBelief, VelocityNet, VelocityNetSettings

__all__ = ["UNet", "VelocityBelief", "VelocityNet", "VelocityNetSettings"]
