"""Write lines into objects."""
