"""How prompted judges ask a model, and how its reply is read."""
