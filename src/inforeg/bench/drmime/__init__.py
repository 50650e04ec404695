"""The benchmark of DRMIME (Nan et al., MIDL 2020): its protocol and ablations, on images that can be had."""
