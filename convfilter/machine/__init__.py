"""What this process may use of the machine: cores, memory, and the control groups that bound both."""
