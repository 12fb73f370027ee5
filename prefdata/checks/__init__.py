"""The checks of `prefdata check`: what a preference dataset of any form teaches, and to whom it is
of use."""
