"""Messages worded by templates that users write."""
