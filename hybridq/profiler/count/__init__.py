"""What steps there are, their multiply-accumulates, flash and RAM."""
