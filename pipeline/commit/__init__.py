"""When a flush window is complete, and the proof of it."""
