"""What trainers and services do with a row of preference data: their own rules, read off their
code. One consumer a file."""
