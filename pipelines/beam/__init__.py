"""What the stages share of Beam: the runner, its workers, errors, exchanges."""
