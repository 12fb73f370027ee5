"""`prefdata replay`: remembered model calls are made again by the stages that made them."""
