"""What stands and moves in the built-in street: meshes made of code, no files."""
