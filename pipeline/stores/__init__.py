"""Where bytes end up: S3, a folder, or memory."""
