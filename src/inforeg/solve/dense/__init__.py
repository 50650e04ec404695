"""Deformations by Newton steps: lattices of velocity, what images tell at every voxel, and the steps."""
