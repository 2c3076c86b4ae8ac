"""What may be typed: options, their types, and what they mean together."""
