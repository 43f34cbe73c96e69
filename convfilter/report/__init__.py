"""Plans and results made readable: text, drawings, and a page with the pictures before and after."""
