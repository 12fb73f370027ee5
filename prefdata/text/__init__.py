"""What can be measured in a text."""
