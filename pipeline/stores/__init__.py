"""Where objects are stored: S3, a folder, or memory."""
