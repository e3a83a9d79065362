"""Trained models: where they are found, how they are loaded, which come with the package."""
