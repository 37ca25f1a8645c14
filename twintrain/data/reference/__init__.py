"""Public tables, brought into the form that a reference problem is stated for."""
