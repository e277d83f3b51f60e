"""Plots of what was measured, as SVG. It runs in an environment that has matplotlib and nothing of the outbox."""
