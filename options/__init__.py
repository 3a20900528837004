"""What the user may say: one field is one flag, and the text below a field is its help."""
