"""Pixels, tracks and words as pure functions: values in, values out; no settings, no clocks, no network."""
