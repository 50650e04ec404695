"""VM-MINE beside affine, ANTs SyN and our pair solver: networks trained and tried on heads that were held back."""
