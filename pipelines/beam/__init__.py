"""The Beam code that all stages share: the runner, its workers, errors and exchanges."""
