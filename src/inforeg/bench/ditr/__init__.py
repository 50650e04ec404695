"""The benchmark of DITR: a metric of patches learnt from roughly aligned pairs, beside mutual information."""
