"""The front door: read, check the pair, choose the device, run a method, save what it found."""

from inforeg.register.front import Registration, register

__all__ = ["Registration", "register"]
