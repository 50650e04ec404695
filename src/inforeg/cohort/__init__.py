"""Many images at once."""

from inforeg.cohort.group import Group, Member, align_group

__all__ = ["Group", "Member", "align_group"]
