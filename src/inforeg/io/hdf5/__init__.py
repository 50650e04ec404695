"""Reading and writing HDF5, as much of it as transforms need, bounded and without the HDF5 library."""
