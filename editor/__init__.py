"""The editor's engine: a scene, what can be done to it, and its files. Nothing of the web."""
