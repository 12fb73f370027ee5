"""The reports of `prefdata review`: what people are given, and what they answered."""
