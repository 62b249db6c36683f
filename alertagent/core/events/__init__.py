"""What changed, told to pages as it happens."""
