"""Web pages: galleries, training, feature spaces."""
