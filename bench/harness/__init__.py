"""The parts of bench/run: processes that are watched, servers, measurements, tables."""
