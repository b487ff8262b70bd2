"""Measurements, side by side with peers in the same run: ratios mean something, figures do not."""
