"""What each runner needs."""
