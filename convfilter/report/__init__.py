"""Presentation of plans and results: text, drawings, and HTML pages with pictures before and after."""
