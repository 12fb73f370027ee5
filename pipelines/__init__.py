"""The stages as Beam pipelines: graphs and options only; flow.py holds the Beam parts."""
