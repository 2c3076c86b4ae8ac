"""Lines into objects."""
