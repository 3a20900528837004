"""Present so that pytest puts this folder on the path, for `from shared_data import shared`."""
