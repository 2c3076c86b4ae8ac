"""The command line: options, their types, and which of them go together."""
