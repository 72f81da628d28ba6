"""train/recipes."""
