"""One file for each kind of image file; `inforeg.io.formats` is their table."""
