"""Evaluation of the whole system: benchmarks, suites, arms and reports."""
