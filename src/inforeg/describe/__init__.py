"""What a file holds, as figures for programs and as lines for people.

Each module knows one kind of file and has a function that finds the facts, a plain dictionary, and one that puts them
into lines. The headers of images and folders need no torch, so that asking about them is quick.
"""
