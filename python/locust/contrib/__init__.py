"""Users for further protocols."""
