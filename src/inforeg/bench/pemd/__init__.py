"""p-EMD: a network of displacements carried from T1 to T2, by every discrepancy."""
