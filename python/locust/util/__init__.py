"""Small helpers, one module each."""
