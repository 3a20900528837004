"""The project as one import package.

Its rooms are the top-level folders (`data/`, `models/`, ...): here they are links to them, and in a
wheel they lie in this folder. So a checkout and an installation import the same names, and none of
them can clash with another project's `data` or `util`.
"""

__version__ = "0.1.0"
