"""The benchmark of deformable registration: known warps, different heads and contrasts, beside other tools."""
