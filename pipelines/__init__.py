"""The stages as Beam pipelines, and the code that runs them: all of prefdata that knows Beam."""
