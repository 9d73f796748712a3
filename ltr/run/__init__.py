"""A run is a folder: what its files are called, how it is found, what is read from it."""
