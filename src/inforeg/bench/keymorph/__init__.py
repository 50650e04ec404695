"""Keypoints beside global searches and other tools: heads turned as far as can be, in one contrast and across two."""
