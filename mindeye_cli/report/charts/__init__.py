"""Inline SVG drawings: intervals with controls, and curves over steps."""
