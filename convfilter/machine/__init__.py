"""Resources of this process: cores, memory, and the control groups that limit both."""
