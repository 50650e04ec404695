"""Scripts that run one registration by another tool, each by its file's path in an interpreter that has the tool.

That interpreter need not have torch nor this package: a script imports its tool, numpy, and `exchange` beside it.
"""
