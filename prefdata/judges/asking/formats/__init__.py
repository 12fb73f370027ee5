"""The formats in which a judge model can reply: what is asked for, and how the reply is read."""
