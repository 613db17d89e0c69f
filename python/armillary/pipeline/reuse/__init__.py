"""Outputs of earlier runs in place of quanta that would make the same: what is compared, and where it is found."""
