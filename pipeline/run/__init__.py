"""One run: its plan, its guard, its execution and its report."""
