"""The commands `butler`, `pipetask` and `armillary`."""
