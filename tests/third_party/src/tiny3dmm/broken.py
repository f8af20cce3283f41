"""Needs what is not installed."""

import a_module_that_nobody_has


def build(hierarchy, latent, *, preset):
    return a_module_that_nobody_has.Model(latent)
