"""Subcommands of `butler`; each module is imported when one of its commands runs."""
