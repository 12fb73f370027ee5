"""How one row is read: its conversation, its annotation, its transcript or its preference."""
