"""Whether inforeg works on this machine: its software, its devices, and a self-test of its geometry.

Nothing heavy is imported before it is examined, so that what is missing can be said.
"""

from inforeg.doctor.check import Check
from inforeg.doctor.examine import examine

__all__ = ["Check", "examine"]
