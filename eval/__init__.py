"""Measures the whole: benchmarks, and later suites, arms and reports."""
