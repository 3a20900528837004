"""Tools that know nothing of the project: they import none of its other rooms."""
