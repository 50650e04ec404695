"""One file for each kind of file of points, meshes or streamlines; `inforeg.io.points` is their door."""
